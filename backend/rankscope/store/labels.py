"""What you can change about a run at any time: name, notes, tags, project, priority, and whether it is archived."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from sqlalchemy import select, update
from sqlmodel import Session, col

from rankscope.contract.errors import BadInput, FieldProblem, NotFound
from rankscope.contract.tables import Run
from rankscope.store.tags import set_tags, tags_of, touch

MOST_TAGS = 50
_COLUMNS = ("name", "notes", "project", "priority")


class Labels(TypedDict):
    name: str
    project: str
    tags: list[str]
    archived: bool


def change(session: Session, run_ids: Sequence[str], changes: Mapping[str, object], *, now: float) -> None:
    """Gives these runs the new values. Raises NotFound if one of them does not exist."""
    found = set(session.scalars(select(col(Run.id)).where(col(Run.id).in_(run_ids)).with_for_update()))
    for run_id in run_ids:
        if run_id not in found:
            raise NotFound(f"There is no run {run_id!r}.", "The list of runs shows all of them.")
    values: dict[str, object] = {name: changes[name] for name in _COLUMNS if name in changes}
    if "archived" in changes:
        values["archived_at"] = now if changes["archived"] else None
    if values:
        session.execute(
            update(Run).where(col(Run.id).in_(run_ids)).values(**values).execution_options(synchronize_session=False)
        )
    tags = changes.get("tags")
    if isinstance(tags, list):
        for run_id in run_ids:
            set_tags(session, run_id, tags)
        touch(session, run_ids)


def retag(
    session: Session,
    run_ids: Sequence[str],
    *,
    add: Sequence[str],
    remove: Sequence[str],
    changes: Mapping[str, object],
    now: float,
) -> dict[str, Labels]:
    """Adds and removes tags of several runs, with other changes. Returns their labels before.

    Raises NotFound if a run does not exist, and BadInput if a run would have more than 50 tags.
    """
    change(session, run_ids, {}, now=now)  # locks the runs
    before = labels_of(session, run_ids)
    change(session, run_ids, changes, now=now)
    for run_id in run_ids:
        old = before[run_id]["tags"]
        tags = list(dict.fromkeys([*(tag for tag in old if tag not in remove), *add]))
        if len(tags) > MOST_TAGS:
            message = f"would give run {run_id} {len(tags)} tags"
            raise BadInput([FieldProblem("add_tags", list(add), message, f"At most {MOST_TAGS} are allowed.")])
        if tags != old:
            change(session, [run_id], {"tags": tags}, now=now)
    return before


def restore(session: Session, wanted: Mapping[str, Labels], *, now: float) -> dict[str, Labels]:
    """Gives runs these labels, and returns those before. Leaves out runs that no longer exist."""
    before = labels_of(session, list(wanted))
    for run_id, labels in wanted.items():
        if run_id in before:
            change(session, [run_id], dict(labels), now=now)
    return before


def labels_of(session: Session, run_ids: Sequence[str]) -> dict[str, Labels]:
    """The current labels of each of these runs that exists, without notes and priority."""
    tags = tags_of(session, run_ids)
    rows = session.execute(
        select(col(Run.id), col(Run.name), col(Run.project), col(Run.archived_at)).where(col(Run.id).in_(run_ids))
    )
    return {
        run_id: Labels(name=name, project=project, tags=tags.get(run_id, []), archived=archived_at is not None)
        for run_id, name, project, archived_at in rows
    }
