"""What charts read: one metric over the steps, rank snapshots, and the ledger of prunings."""

from typing import Any, NamedTuple

from sqlalchemy import not_, select
from sqlmodel import Session, col

from rankscope.contract.tables import Event
from rankscope.store.events import stored, visible


class Point(NamedTuple):
    step: int
    value: float | str
    """A finite number, or "NaN", "Infinity", "-Infinity"."""


def metric_points(
    session: Session, run_id: str, name: str, *, from_step: int | None = None, to_step: int | None = None
) -> list[Point]:
    """All visible points of a metric, by step."""
    where = [
        col(Event.run_id) == run_id,
        col(Event.kind) == "metric",
        col(Event.name) == name,
        visible(session, run_id),
    ]
    if from_step is not None:
        where.append(col(Event.step) >= from_step)
    if to_step is not None:
        where.append(col(Event.step) <= to_step)
    rows = session.execute(
        select(col(Event.step), col(Event.value), col(Event.payload))
        .where(*where)
        .order_by(col(Event.step), col(Event.seq))
    )
    return [Point(step, value if value is not None else payload["value"]) for step, value, payload in rows]


def ghost_points(session: Session, run_id: str, name: str) -> dict[int, list[Point]]:
    """Attempt -> what it recorded of a metric beyond the step from which a later attempt went on; by step."""
    rows = session.execute(
        select(col(Event.attempt), col(Event.step), col(Event.value), col(Event.payload))
        .where(
            col(Event.run_id) == run_id, col(Event.kind) == "metric", col(Event.name) == name,
            not_(visible(session, run_id)),
        )
        .order_by(col(Event.attempt), col(Event.step), col(Event.seq))
    )  # fmt: skip
    ghosts: dict[int, list[Point]] = {}
    for attempt, step, value, payload in rows:
        ghosts.setdefault(attempt, []).append(Point(step, value if value is not None else payload["value"]))
    return ghosts


def reduce_points(points: list[Point], limit: int) -> list[Point]:
    """At most about `limit` points: of each bucket the first, last, smallest and largest, and all that are not finite.

    The shape of the curve and every extreme stay; what is left out lies between points that are kept.
    """
    if len(points) <= limit or limit < 4:
        return points
    size = -(-len(points) * 4 // limit)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        bucket = points[start : start + size]
        finite = [index for index, point in enumerate(bucket) if not isinstance(point.value, str)]
        chosen = {0, len(bucket) - 1} | (set(range(len(bucket))) - set(finite))
        if finite:
            chosen |= {
                min(finite, key=lambda index: bucket[index].value),
                max(finite, key=lambda index: bucket[index].value),
            }
        kept += [bucket[index] for index in sorted(chosen)]
    return kept


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
    rows = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.seq).in_([newest[step] for step in steps]))
        .order_by(col(Event.step))
    )
    return [stored(row) for row in rows], len(newest)


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
