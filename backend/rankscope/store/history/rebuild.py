"""Rebuilds a run's metric summaries and evaluations after a resume has replaced some of its points."""

from sqlalchemy import select, update
from sqlmodel import Session, col

from rankscope.contract.metrics import EVALUATION
from rankscope.contract.tables import Event, Run
from rankscope.store.history import event_text
from rankscope.store.history.evaluation_points import replace_evaluations
from rankscope.store.history.events import visible
from rankscope.store.history.metric_rows import store_metrics
from rankscope.store.history.series import drawn_points
from rankscope.store.history.summary import summary_of


def rebuild_metrics(session: Session, run_id: str) -> None:
    """Stores the summaries and evaluations of the visible points, and the step of the final mask."""
    settled_step = _settled_step(session, run_id)
    # A chunk's reduced form has its first, last, smallest and largest point: the summary is the same. This does not hold for
    # evaluations, which may start over within a chunk.
    points = drawn_points(session, run_id, is_exact=lambda name: name.startswith(EVALUATION))
    metrics = {name: summary_of(of, name, settled_step) for name, of in points.items() if len(of)}
    before = session.scalar(select(col(Run.metrics)).where(col(Run.id) == run_id)) or {}
    session.execute(update(Run).where(col(Run.id) == run_id).values(metrics=metrics, settled_step=settled_step))
    store_metrics(session, run_id, before, metrics)
    replace_evaluations(session, run_id, points)


def _settled_step(session: Session, run_id: str) -> int | None:
    finals = session.execute(
        select(col(Event.step), col(Event.payload))
        .where(col(Event.run_id) == run_id, col(Event.kind) == "prune", visible(session, run_id))
        .order_by(col(Event.seq))
    )
    step = next((step for step, payload in finals if event_text.read(payload)["final"]), None)
    if step is not None:
        return int(step)
    # A fork from a checkpoint with the final mask has no such pruning itself.
    return session.scalar(
        select(col(Run.parent_step)).where(col(Run.id) == run_id, col(Run.settled_step) == col(Run.parent_step))
    )
