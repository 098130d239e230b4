"""Named views of the runs table."""

from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.errors import BadInput, FieldProblem, NotFound
from rankscope.contract.tables import SavedView
from rankscope.store.runs import new_run_id

MOST = 200


def saved_views(session: Session) -> list[SavedView]:
    return sorted(session.scalars(select(SavedView)), key=lambda view: (view.name.lower(), view.id))


def save_view(session: Session, name: str, query: str, *, now: float) -> SavedView:
    """Stores a view; one with the same name is replaced."""
    view = session.scalar(select(SavedView).where(col(SavedView.name) == name))
    if view is None:
        if len(saved_views(session)) >= MOST:
            raise BadInput(
                [FieldProblem("name", name, f"would be view {MOST + 1}", "Delete a view that you don't use.")]
            )
        view = SavedView(id=new_run_id(), name=name, query=query, created_at=now, updated_at=now)
    view.query, view.updated_at = query, now
    session.add(view)
    session.flush()
    return view


def delete_view(session: Session, view_id: str) -> None:
    view = session.get(SavedView, view_id)
    if view is None:
        raise NotFound(f"There is no view {view_id!r}.", "GET /views lists them.")
    session.delete(view)
