"""Tags of runs."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, select, update
from sqlmodel import Session, col

from rankscope.contract.tables import Run, RunTag, next_change


def tags_of(session: Session, run_ids: Collection[str]) -> dict[str, list[str]]:
    """The tags of each of these runs that has any, in the order in which they were given."""
    found: dict[str, list[str]] = {}
    if run_ids:
        columns = select(col(RunTag.run_id), col(RunTag.tag))
        query = columns.where(col(RunTag.run_id).in_(run_ids)).order_by(col(RunTag.run_id), col(RunTag.position))
        for run_id, tag in session.execute(query):
            found.setdefault(run_id, []).append(tag)
    return found


def set_tags(session: Session, run_id: str, tags: Sequence[str]) -> None:
    """Replaces the tags of a run. Call `touch` too unless its row changes anyway."""
    session.execute(delete(RunTag).where(col(RunTag.run_id) == run_id))
    rows = [{"run_id": run_id, "tag": tag, "position": place} for place, tag in enumerate(dict.fromkeys(tags))]
    if rows:
        session.execute(insert(RunTag), rows)


def touch(session: Session, run_ids: Collection[str]) -> None:
    """Marks runs as changed after a change in another table."""
    session.execute(
        update(Run)
        .where(col(Run.id).in_(run_ids))
        .values(changed=next_change())
        .execution_options(synchronize_session=False)
    )
