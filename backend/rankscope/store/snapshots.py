"""Rank snapshots over the steps, and the ledger of prunings."""

from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from rankscope.contract.tables import Event
from rankscope.store.events import stored, visible


def modules_event(session: Session, run_id: str) -> dict[str, Any] | None:
    """The newest list of adapted modules, or None before the model was loaded."""
    row = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "modules")
        .order_by(col(Event.seq).desc())
        .limit(1)
    ).one_or_none()
    return stored(row) if row else None


def rank_frames(
    session: Session, run_id: str, *, from_step: int | None = None, to_step: int | None = None, limit: int = 400
) -> tuple[list[dict[str, Any]], int]:
    """At most `limit` rank snapshots by step, and how many there are.

    When thinned: the last one and those of pruning steps come first, the rest is spread evenly.
    """
    where = [col(Event.run_id) == run_id, col(Event.kind) == "ranks", visible(session, run_id)]
    if from_step is not None:
        where.append(col(Event.step) >= from_step)
    if to_step is not None:
        where.append(col(Event.step) <= to_step)
    heads = session.execute(
        select(col(Event.seq), col(Event.step)).where(*where).order_by(col(Event.step), col(Event.seq))
    ).all()
    # A resumed attempt repeats the snapshot of the step it starts from: the newer one stands.
    newest = {step: seq for seq, step in heads}
    steps = sorted(newest)
    if len(steps) > limit:
        prunings = session.scalars(
            select(col(Event.step)).where(
                col(Event.run_id) == run_id, col(Event.kind) == "prune", visible(session, run_id)
            )
        )
        steps = _thin(steps, {step for step in prunings if step is not None}, limit)
    wanted = [newest[step] for step in steps]
    # Put in order here: a database would carry every packed score through its sorting.
    rows = {
        row.seq: row
        for row in session.scalars(select(Event).where(col(Event.run_id) == run_id, col(Event.seq).in_(wanted)))
    }
    return [stored(rows[seq]) for seq in wanted], len(newest)


def _thin(steps: list[int], important: set[int], limit: int) -> list[int]:
    first = [step for step in steps if step in important or step == steps[-1]]
    if len(first) > limit:
        stride = len(first) / limit
        return sorted({first[int(index * stride)] for index in range(limit - 1)} | {steps[-1]})
    rest = [step for step in steps if step not in set(first)]
    room = limit - len(first)
    stride = len(rest) / room if room else 1
    return sorted({*first, *(rest[int(index * stride)] for index in range(room))})


def ledger(session: Session, run_id: str, *, module: int | None = None) -> list[dict[str, Any]]:
    """One line for each component pruned or regrown, in order of time."""
    rows = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "prune", visible(session, run_id))
        .order_by(col(Event.seq))
    )
    return [
        {
            "seq": event["seq"], "step": event["step"], "change": change, "module": line["module"],
            "component": line["component"], "score": line["score"], "order": line["order"], "total": event["total"],
            "threshold": event["threshold"], "budget": event["budget"],
        }
        for event in map(stored, rows)
        for change in ("pruned", "regrown")
        for line in event[change]
        if module is None or line["module"] == module
    ]  # fmt: skip
