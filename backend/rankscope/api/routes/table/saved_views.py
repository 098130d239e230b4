"""Named views of the runs table."""

from fastapi import APIRouter

from rankscope.api.deps import EngineDep, NowDep, RunId
from rankscope.api.guard.access import SMALL_JSON, needs
from rankscope.api.shapes.run_table import SavedViewList, SavedViewShape, ViewCreate
from rankscope.contract.tables import SavedView
from rankscope.store import saved_views
from rankscope.store.database.engine import reading, writing

router = APIRouter(prefix="/views", tags=["views"])


@router.get("")
@needs("read")
def list_views(engine: EngineDep) -> SavedViewList:
    """All saved views, by name."""
    with reading(engine) as session:
        return SavedViewList(items=[_shape(view) for view in saved_views.saved_views(session)])


@router.post("", status_code=201)
@needs("launch", SMALL_JSON)
def save_view(body: ViewCreate, engine: EngineDep, now: NowDep) -> SavedViewShape:
    """Saves a view. One with the same name is replaced."""
    with writing(engine) as session:
        view = saved_views.save_view(session, body.name, body.query, now=now)
    return _shape(view)


@router.delete("/{view_id}", status_code=204)
@needs("admin")
def delete_view(view_id: RunId, engine: EngineDep) -> None:
    """Deletes a view; runs are not affected."""
    with writing(engine) as session:
        saved_views.delete_view(session, view_id)


def _shape(view: SavedView) -> SavedViewShape:
    return SavedViewShape(id=view.id, name=view.name, query=view.query, updated_at=view.updated_at)
