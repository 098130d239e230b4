"""Forks: a new run that continues from a checkpoint of another run."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rankscope.catalog import Catalog
from rankscope.catalog.changed_inputs import what_changed
from rankscope.contract.config import RunConfig, stored_steering
from rankscope.contract.errors import BadInput, FieldProblem, NotFound
from rankscope.contract.manifest import MANIFEST, Manifest
from rankscope.contract.methods import METHODS, Method
from rankscope.contract.stored import Environment, StoredConfig
from rankscope.contract.tables import Run
from rankscope.data_folder import is_plain_file
from rankscope.launch.changes import Changes, changed, differing, merge
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.settings import Settings

_FREE = ("training.", "hardware.", "task.headline_metric")
_WHY = {
    "model": ("cannot change in a fork: the checkpoint's tensors belong to the parent's model", "Launch a new run."),
    "data": ("cannot change in a fork: the checkpoint's place in the data is the parent's", "Launch a new run."),
    "task": ("cannot change in a fork: the checkpoint was trained for the parent's", "Launch a new run."),
    "method": ("cannot change in a fork: the checkpoint's tensors were made with the parent's", "Launch a new run."),
    "training.seed": ("cannot change in a fork: the order of the rows is the parent's", "Keep the parent's value."),
    "steering": (
        "cannot be given in a fork: it says what was done up to the checkpoint",
        "Steer the fork while it runs.",
    ),
}


@dataclass(frozen=True)
class Origin:
    """A checkpoint on disk. `is_settled`: the mask was final by then (always, if ranks don't change)."""

    path: Path
    attempt: int
    step: int
    is_settled: bool


def find_origin(settings: Settings, run: Run, step: int | None, attempt: int | None) -> Origin:
    """The kept checkpoint of `step` (None: the newest), of the newest attempt that has one. Raises NotFound."""
    steps: list[tuple[int, int]] = []
    for number in range(run.attempt, -1, -1):
        if attempt in (None, number):
            folder = settings.attempt_dir(run.id, number) / "checkpoints"
            names = [path.name.removeprefix("step-") for path in folder.glob("step-*")]
            steps += [(int(name), number) for name in names if name.isdigit()]
    if not steps:
        raise NotFound(
            f"Run {run.id} has no checkpoint to fork from.", "One is written while it trains; see Checkpoints."
        )
    wanted = max(steps)[0] if step is None else step
    numbers = [number for at, number in steps if at == wanted]
    if not numbers:
        kept = ", ".join(str(at) for at in sorted({at for at, _ in steps}))
        raise NotFound(f"Run {run.id} keeps no checkpoint of step {wanted}.", f"There is one of step {kept}.")
    path = settings.checkpoint_dir(run.id, max(numbers), wanted)
    notes = _manifest(path, run).get("notes", {})
    return Origin(path, max(numbers), wanted, bool(notes.get("is_settled", not _prunes(run.method))))


def plan_fork(parent: Run, origin: Origin, changes: Changes, catalog: Catalog) -> RunPlan:
    """The child's plan. Raises BadInput, with fields named `changes...`, for changes that the checkpoint does not allow."""
    before = RunConfig.stored(_as_steered(parent.config, origin.step))
    plain = before.model_dump(mode="json")
    after = changed(plain, changes)
    try:
        plan = make_plan(after, catalog)
    except BadInput as error:
        renamed = [FieldProblem(_renamed(one.field), one.value, one.message, one.next_step) for one in error.problems]
        raise BadInput(renamed) from error
    # Compare the data as requested: a plan resolves the data set and its columns, and an older parent's configuration may not.
    differences = differing(
        plain, plan.config.model_copy(update={"data": after.data, "task": after.task}).model_dump(mode="json")
    )
    refusals = [_refusal(field, new, before.method) for field, (_, new) in differences.items()]
    problems = [problem for problem in refusals if problem is not None]
    problems += _step_problems(plan, origin)
    if before.method.name == plan.config.method.name and _prunes(parent.method):
        problems += (
            _final_mask_problems(differences, parent, before.method, origin)
            if origin.is_settled
            else _open_mask_problems(plan, origin)
        )
    # Another choice of rows also changes their number; it is refused once, for its own field.
    same_rows = not any(field.startswith(("data.", "task.")) for field in differences)
    problems += _changed_files(parent.environment, plan, catalog)
    if same_rows and not problems:
        problems += _changed_rows(parent.environment, plan)
    if problems:
        raise BadInput(problems)
    return plan


def _as_steered(config: StoredConfig, step: int) -> dict[str, object]:
    """The configuration at a step: with the steering up to then, and the target rank in force."""
    steering = [entry for entry in stored_steering(config) if entry.step <= step]
    targets = [entry.target_rank for entry in steering if entry.action == "target"]
    at_step: dict[str, object] = {"steering": [entry.model_dump() for entry in steering]}
    if targets:
        at_step["method"] = {"target_rank": targets[-1]}
    return merge(config, at_step)


def take_checkpoint(origin: Origin, parent: Run, target: Path) -> int:
    """Copies the checkpoint's files to `target` and returns their size in bytes.

    Uses hard links if the file system supports them: a checkpoint's files never change, and links take no time or space.
    Raises NotFound if the parent has deleted it in the meantime.
    """
    working = target.with_name(f".{target.name}")
    shutil.rmtree(working, ignore_errors=True)
    size_bytes = 0
    try:
        names = [*_manifest(origin.path, parent)["files"], MANIFEST]
        for name in names:
            # The manifest may come from an untrusted backup, so a name could point anywhere.
            if not is_plain_file(origin.path, origin.path / name):
                raise FileNotFoundError(name)
            (working / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(origin.path / name, working / name)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copy2(origin.path / name, working / name)
            size_bytes += (working / name).stat().st_size
    except FileNotFoundError as error:
        shutil.rmtree(working, ignore_errors=True)
        raise _gone(origin.path, parent) from error
    os.rename(working, target)
    return size_bytes


def _manifest(path: Path, run: Run) -> Manifest:
    try:
        manifest: Manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _gone(path, run) from error
    return manifest


def _gone(path: Path, run: Run) -> NotFound:
    return NotFound(
        f"The checkpoint {path.name} of run {run.id} is missing or damaged.", "Choose another one under Checkpoints."
    )


def _prunes(method: str) -> bool:
    return METHODS[method].rank_changes == "on_schedule"


def _option(field: str) -> str | None:
    """The method's option that a dotted field names; None for another field."""
    return field.removeprefix("method.") if field.startswith("method.") else None


def _renamed(field: str) -> str:
    return f"changes.{field.removeprefix('config.')}"


def _refusal(field: str, value: object, method: Method) -> FieldProblem | None:
    if _option(field) in method.fork_fields or (field.startswith(_FREE) and field not in _WHY):
        return None
    message, next_step = _WHY[field if field in _WHY else field.split(".", 1)[0]]
    return FieldProblem(f"changes.{field}", value, message, next_step)


def _step_problems(plan: RunPlan, origin: Origin) -> list[FieldProblem]:
    if plan.total_steps > origin.step:
        return []
    return [
        FieldProblem(
            "changes.training.max_steps",
            plan.total_steps,
            f"is {plan.total_steps}: the checkpoint is of step {origin.step}",
            f"Use more than {origin.step}, or fork from an earlier checkpoint.",
        )
    ]


def _final_mask_problems(
    differences: Mapping[str, list[object]], parent: Run, method: Method, origin: Origin
) -> list[FieldProblem]:
    """After the final mask, the ranks can't change because pruned components were removed."""
    problems = []
    live = parent.live / parent.n_modules if parent.live is not None and parent.n_modules else None
    for field, (_, new) in differences.items():
        if _option(field) not in method.fork_fields - method.fork_fields_after_pruning:
            continue
        why = f"cannot change: the mask is final by step {origin.step}, and nothing is pruned any more"
        if _option(field) == method.budget_field and live is not None and isinstance(new, int | float) and new > live:
            why = f"is {new}, above the mean rank {live:.2f} that is live since the final mask; pruned components were removed"
        problems.append(
            FieldProblem(
                f"changes.{field}", new, why, "Fork from a checkpoint before the final mask, or launch a new run."
            )
        )
    return problems


def _open_mask_problems(plan: RunPlan, origin: Origin) -> list[FieldProblem]:
    """The window must end after the checkpoint's step; otherwise the mask would never become final."""
    window = plan.config.method.pruning_window(plan.total_steps)
    if window is None or window.end > origin.step or _is_held(plan.config):
        return []
    return [
        FieldProblem(
            "changes.method.prune_end_ratio",
            getattr(plan.config.method, "prune_end_ratio", None),
            f"ends the pruning at step {window.end}, and the checkpoint of step {origin.step} has no final mask yet",
            "Raise prune_end_ratio or max_steps, or fork from another checkpoint.",
        )
    ]


def _is_held(config: RunConfig) -> bool:
    actions = [entry.action for entry in config.steering if entry.action != "target"]
    return actions[-1:] == ["hold"]


def _changed_files(before: Environment, plan: RunPlan, catalog: Catalog) -> list[FieldProblem]:
    """Model and data must be the same as the parent's, not only have the same name."""
    problems = []
    model, data = before.get("model_fingerprint"), before.get("data_fingerprint")
    if model is not None and not catalog.model(plan.config.model.id).has_fingerprint(model):
        problems.append(_changed("model.id", plan.environment["model_fingerprint"], "files"))
    if data is not None and data != plan.environment["data_fingerprint"]:
        problems.append(_changed("data.id", plan.environment["data_fingerprint"], "rows"))
    return problems


def _changed(field: str, now: str, what: str) -> FieldProblem:
    return FieldProblem(
        f"changes.{field}",
        now,
        f"has different {what} than when the parent was launched",
        "Restore the old ones, or launch a new run.",
    )


def _changed_rows(before: Environment, plan: RunPlan) -> list[FieldProblem]:
    """The same file can give different rows than in an earlier version, which treated a missing label as a class."""
    change = what_changed(before, plan.split.labels, plan.train_rows, plan.eval_rows)
    if change is None:
        return []
    return [FieldProblem("changes.data.id", plan.dataset.id, f"gives other rows. {change}", "Launch a new run.")]
