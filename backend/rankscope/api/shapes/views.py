"""Converts table rows to what the API returns."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Engine
from sqlmodel import Session

from dynamic_rank.schedule.curve import PlannedCurve
from rankscope.api.shapes.base import LeftOutShape, PresetList, PresetShape
from rankscope.api.shapes.plans import BudgetPoint, ClassShape, DataPlan, Plan, split_shape
from rankscope.api.shapes.preflight import preflight_shape, run_memory
from rankscope.api.shapes.runs import AttemptShape, Headline, Relative, RunDetail, RunSummary
from rankscope.catalog.data.left_out import LeftOut
from rankscope.catalog.data.profiles import CLASSES_KEPT
from rankscope.contract.config import RunConfig
from rankscope.contract.parts import STORED
from rankscope.contract.reasons import reason_title
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Checkpoint, Run
from rankscope.contract.tasks import TASKS
from rankscope.health.remedy import remedy_of, unavailable_actions
from rankscope.launch.installed_presets import InstalledPreset
from rankscope.launch.plan import RunPlan, planned_curve
from rankscope.launch.preflight import Preflight
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import reading
from rankscope.store.history import snapshots
from rankscope.store.queue_positions import queue_positions
from rankscope.store.steering import done_so_far, is_held
from rankscope.store.tags import tags_of

_COPIED = (
    "id",
    "name",
    "status",
    "phase",
    "priority",
    "method",
    "task",
    "model_id",
    "data_id",
    "created_at",
    "started_at",
    "ended_at",
    "updated_at",
    "attempt",
    "step",
    "total_steps",
    "worker",
    "reason",
    "message",
    "next_step",
    "metrics",
    "live",
    "budget",
    "n_modules",
    "trained_parameters",
    "kept_parameters",
    "artifact",
    "project",
    "archived_at",
    "cause",
    "parent_id",
    "parent_step",
)
_STEPS_FOR_ETA = 10
_MAX_ATTEMPTS = 200


def summaries(session: Session, found: list[Run], *, now: float) -> list[RunSummary]:
    positions = queue_positions(session)
    tags = tags_of(session, [run.id for run in found])
    return [
        RunSummary.model_validate(_summary_fields(run, now, positions.get(run.id), tags.get(run.id, [])))
        for run in found
    ]


def kept_checkpoints(session: Session, run: Run, settings: Settings) -> list[Checkpoint]:
    """Checkpoints that still exist: the worker deletes older ones, and may be on another host.

    The folders are read first: a run may have recorded ten million checkpoints but keeps only a few.
    """
    return runs.checkpoints_of(session, run.id, set(_checkpoint_folders(settings, run.id)))


def _checkpoint_folders(settings: Settings, run_id: str) -> Iterator[tuple[int, int]]:
    """(attempt, step) of each."""
    for folder in (settings.runs_dir / run_id).glob("attempt-*/checkpoints/step-*"):
        attempt, step = folder.parent.parent.name.removeprefix("attempt-"), folder.name.removeprefix("step-")
        if attempt.isdecimal() and step.isdecimal() and len(attempt) < 10 and len(step) < 10 and folder.is_dir():
            yield int(attempt), int(step)


def read_detail(engine: Engine, run_id: str, settings: Settings, *, now: float) -> RunDetail:
    """Returns the run as it is in the database now, read in a separate session. Never call it within a write transaction."""
    with reading(engine) as session:
        return detail(session, runs.get_run(session, run_id), settings, now=now)


def detail(session: Session, run: Run, settings: Settings, *, now: float) -> RunDetail:
    config = RunConfig.stored(run.config)
    modules = snapshots.modules_of(session, run.id)
    curve = planned_budget(run, config)
    kept_steps = [row.step for row in kept_checkpoints(session, run, settings)]
    return RunDetail.model_validate(
        _summary_fields(run, now, queue_positions(session).get(run.id), tags_of(session, [run.id]).get(run.id, []))
        | {
            "notes": run.notes,
            "config": config,
            "environment": run.environment,
            "last_seq": run.last_seq,
            "lease_expires_at": run.lease_expires_at,
            "attempts": [
                AttemptShape.model_validate(
                    attempt.model_dump(exclude={"run_id"}) | {"outcome_title": reason_title(attempt.outcome)}
                )
                for attempt in runs.attempts_of(session, run.id, most=_MAX_ATTEMPTS)
            ],
            "modules": modules,
            "width": run.width,
            "pruning_steps": curve.prunings,
            "pruning_count": curve.pruning_count,
            "planned_budget": _points(curve.points),
            "settled_step": run.settled_step,
            "is_held": run.settled_step is None and is_held(entry.action for entry in done_so_far(run)),
            "steer_requests": run.steer_requests,
            "remedy": remedy_of(run, kept_steps),
            "unavailable": unavailable_actions(run, kept_steps),
            "memory": run_memory(run),
        },
        # Current rules are for new runs; a run of an earlier version is shown as it was launched.
        context={STORED: True},
    )


def plan_shape(plan: RunPlan, checks: Preflight) -> Plan:
    return Plan(
        config=plan.config,
        data=_data_plan(plan),
        total_steps=plan.total_steps,
        train_rows=plan.train_rows,
        eval_rows=plan.eval_rows,
        n_modules=plan.n_modules,
        initial_rank=plan.config.method.start_rank,
        trained_parameters=plan.trained_parameters,
        kept_parameters=plan.kept_parameters,
        is_estimate=plan.is_estimate,
        model_parameters=plan.model_parameters,
        context_length=plan.context_length,
        planned_budget=_points(plan.curve.points),
        pruning_steps=plan.curve.prunings,
        pruning_count=plan.curve.pruning_count,
        warnings=plan.warnings,
        preflight=preflight_shape(checks),
    )


def _data_plan(plan: RunPlan) -> DataPlan:
    use = plan.split
    classes = sorted(use.classes, key=lambda each: (-each.train_rows - each.eval_rows, each.label))
    return DataPlan(
        id=plan.dataset.id,
        rows=plan.dataset.rows or 0,
        text_columns=list(use.text_columns),
        target_column=use.target_column,
        group_column=use.group_column,
        classes=[
            ClassShape(label=each.label, train_rows=each.train_rows, eval_rows=each.eval_rows)
            for each in classes[:CLASSES_KEPT]
        ],
        n_classes=len(classes),
        left_out=left_out_shapes(use.left_out),
        split=split_shape(use),
        separator=plan.dataset.separator,
        encoding=plan.dataset.encoding,
    )


def left_out_shapes(left_out: Sequence[LeftOut]) -> list[LeftOutShape]:
    return [LeftOutShape(reason=each.reason, rows=each.rows, first_lines=list(each.first_lines)) for each in left_out]


def planned_budget(run: Run, config: RunConfig) -> PlannedCurve:
    """The planned curve; empty until the number of modules is known."""
    n_modules = run.n_modules or run.environment.get("n_modules")
    if not n_modules or not run.total_steps:
        return PlannedCurve([], [], 0)
    return planned_curve(config, n_modules, run.total_steps)


def eta_s(run: Run, now: float) -> float | None:
    """Returns the seconds left at this attempt's speed; None before its tenth step, or if it is not training."""
    done = run.step - run.attempt_start_step
    if run.status != RunStatus.running or not run.total_steps or not run.attempt_started_at or done < _STEPS_FOR_ETA:
        return None
    return max(0.0, (run.total_steps - run.step) * (now - run.attempt_started_at) / done)


def _summary_fields(run: Run, now: float, queue_position: int | None, tags: list[str]) -> dict[str, object]:
    return {name: getattr(run, name) for name in _COPIED} | {
        "tags": tags,
        "headline": headline(run),
        "queue_position": queue_position,
        "eta_s": eta_s(run, now),
        "reason_title": reason_title(run.reason),
        "mean_rank": run.live / run.n_modules if run.live is not None and run.n_modules else None,
    }


def relative(run: Run) -> Relative:
    """Returns the run as a line of a tree."""
    copied = Relative.model_fields.keys() - {"headline"}
    return Relative.model_validate({name: getattr(run, name) for name in copied} | {"headline": headline(run)})


def headline(run: Run) -> Headline:
    """Returns the run's headline metric."""
    metric = TASKS[run.task].headline_of(run.headline_metric)
    found = run.metrics.get(metric.name)
    best: tuple[float | str, int] | tuple[None, None] = (None, None)
    if found:
        is_lower = metric.lower_is_better
        best = (found["min"], found["min_step"]) if is_lower else (found["max"], found["max_step"])
    return Headline(
        name=metric.name,
        title=metric.short_title,
        lower_is_better=metric.lower_is_better,
        best=best[0],
        best_step=best[1],
        last=found["last"] if found else None,
    )


def _points(curve: list[tuple[int, int]]) -> list[BudgetPoint]:
    return [BudgetPoint(step=step, budget=budget) for step, budget in curve]


def preset_list(found: Sequence[InstalledPreset]) -> PresetList:
    return PresetList(
        items=[
            PresetShape(
                key=one.preset.key,
                title=one.preset.title,
                description=one.preset.description,
                config=one.preset.config,
                group=one.preset.group,
                missing_model=one.missing_model,
                missing_data=one.missing_data,
            )
            for one in found
        ]
    )
