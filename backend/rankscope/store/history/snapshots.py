"""Rank snapshots by step, and the ledger of prunings."""

import json
from collections.abc import Iterator
from typing import Literal, TypedDict, cast

from sqlalchemy import func, select
from sqlmodel import Session, col

from rankscope.contract.stored import StoredModule, StoredModules, StoredPruning, StoredRanks
from rankscope.contract.tables import Event
from rankscope.store.history.event_text import stored
from rankscope.store.history.events import visible

_HEAD_CHARACTERS = 400
"""Longer than the fields of a stored snapshot before its mask, and the names around them."""
_MAX_CHARACTERS = 64_000_000
"""Limit for the snapshots of one response."""


def modules_event(session: Session, run_id: str) -> StoredModules | None:
    """The newest list of adapted modules, or None before the model was loaded."""
    row = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "modules")
        .order_by(col(Event.seq).desc())
        .limit(1)
    ).one_or_none()
    return cast(StoredModules, stored(row)) if row else None


def modules_of(session: Session, run_id: str) -> list[StoredModule]:
    """The adapted modules; none before the model was loaded, and for full fine-tuning."""
    event = modules_event(session, run_id)
    return event["modules"] if event else []


def rank_frames(
    session: Session, run_id: str, *, from_step: int | None = None, to_step: int | None = None, limit: int | None = 400
) -> tuple[list[StoredRanks], int]:
    """At most `limit` rank snapshots (None: all) by step, and how many there are.

    Fewer if that many would not fit into memory.
    If reduced, the last one and those of pruning steps are preferred, and the rest is spaced evenly.
    """
    newest = _newest(session, run_id, from_step, to_step)
    steps = sorted(newest)
    if steps and limit is not None:
        limit = min(limit, _affordable(session, newest[steps[-1]], run_id))
    wanted = [newest[step] for step in _chosen(session, run_id, steps, limit)]
    # Sorted here: the database would move every packed score while sorting.
    rows = {
        row.seq: row
        for row in session.scalars(select(Event).where(col(Event.run_id) == run_id, col(Event.seq).in_(wanted)))
    }
    return [cast(StoredRanks, stored(rows[seq])) for seq in wanted], len(newest)


class LiveMask(TypedDict):
    """A rank snapshot without its scores."""

    step: int
    live: int
    mask: str


def live_masks(session: Session, run_id: str, event: StoredModules, *, limit: int) -> list[LiveMask]:
    """At most `limit` snapshots by step, chosen as by `rank_frames`, without reading their scores from the database.

    `event`: the run's modules, which give the length of a mask.
    """
    newest = _newest(session, run_id, None, None)
    chosen = _chosen(session, run_id, sorted(newest), limit)
    head = _HEAD_CHARACTERS + 4 * -(-len(event["modules"]) * event["width"] // 24)
    text = func.substr(col(Event.payload), 1, head)
    wanted = [newest[step] for step in chosen]
    rows = session.execute(select(col(Event.seq), text).where(col(Event.run_id) == run_id, col(Event.seq).in_(wanted)))
    found: dict[int, str] = {seq: head or "" for seq, head in rows}
    masks: list[LiveMask] = []
    for step, seq in zip(chosen, wanted, strict=True):
        before, scores, _ = found[seq].partition('"scores"')
        if scores:
            own = json.loads(f"{before.rstrip().rstrip(',')}}}")
        else:  # written by an encoder with another order of the fields
            payload = session.scalar(
                select(col(Event.payload)).where(col(Event.run_id) == run_id, col(Event.seq) == seq)
            )
            own = json.loads(payload or "{}")
        masks.append({"step": step, "live": own["live"], "mask": own["mask"]})
    return masks


def _chosen(session: Session, run_id: str, steps: list[int], limit: int | None) -> list[int]:
    """At most `limit` of the steps with a snapshot."""
    if limit is not None and len(steps) > limit:
        prunings = session.scalars(
            select(col(Event.step)).where(
                col(Event.run_id) == run_id, col(Event.kind) == "prune", visible(session, run_id)
            )
        )
        return _thin(steps, {step for step in prunings if step is not None}, limit)
    return steps


def _affordable(session: Session, seq: int, run_id: str) -> int:
    """Returns how many snapshots of this size may be read at once, at least two: some models have ten million components."""
    size = session.scalar(
        select(func.length(col(Event.payload))).where(col(Event.run_id) == run_id, col(Event.seq) == seq)
    )
    return max(2, _MAX_CHARACTERS // max(1, size or 1))


def rank_steps(session: Session, run_id: str) -> list[int]:
    """The steps with a snapshot, in order."""
    return sorted(_newest(session, run_id))


def _newest(session: Session, run_id: str, from_step: int | None = None, to_step: int | None = None) -> dict[int, int]:
    """Step -> number of its snapshot. A resumed attempt repeats the snapshot of its first step; the newer one counts."""
    where = [col(Event.run_id) == run_id, col(Event.kind) == "ranks", visible(session, run_id)]
    if from_step is not None:
        where.append(col(Event.step) >= from_step)
    if to_step is not None:
        where.append(col(Event.step) <= to_step)
    heads = session.execute(
        select(col(Event.seq), col(Event.step)).where(*where).order_by(col(Event.step), col(Event.seq))
    )
    return {step: seq for seq, step in heads if step is not None}


def _thin(steps: list[int], important: set[int], limit: int) -> list[int]:
    first = [step for step in steps if step in important or step == steps[-1]]
    if len(first) > limit:
        stride = len(first) / limit
        return sorted({first[int(index * stride)] for index in range(limit - 1)} | {steps[-1]})
    rest = [step for step in steps if step not in set(first)]
    room = limit - len(first)
    stride = len(rest) / room if room else 1
    return sorted({*first, *(rest[int(index * stride)] for index in range(room))})


class LedgerEntry(TypedDict):
    """One component that was pruned or regrown."""

    seq: int
    step: int
    change: Literal["pruned", "regrown"]
    module: int
    component: int
    score: float | str
    order: int
    total: int
    threshold: float | str
    budget: int


def ledger(session: Session, run_id: str, *, module: int | None = None) -> Iterator[LedgerEntry]:
    """One line per component pruned or regrown, in chronological order, read lazily."""
    rows = session.scalars(
        select(Event)
        .where(col(Event.run_id) == run_id, col(Event.kind) == "prune", visible(session, run_id))
        .order_by(col(Event.seq))
        .execution_options(yield_per=20)
    )
    changes: tuple[Literal["pruned", "regrown"], ...] = ("pruned", "regrown")
    return (
        {
            "seq": event["seq"],
            "step": event["step"],
            "change": change,
            "module": line["module"],
            "component": line["component"],
            "score": line["score"],
            "order": line["order"],
            "total": event["total"],
            "threshold": event["threshold"],
            "budget": event["budget"],
        }
        for event in (cast(StoredPruning, stored(row)) for row in rows)
        for change in changes
        for line in event[change]
        if module is None or line["module"] == module
    )
