"""Options of a plan that can't work with the model, and options that have no effect or an unexpected one."""

from collections.abc import Sequence

from rankscope.catalog import LinearModule
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import FieldProblem
from rankscope.contract.methods import Method
from rankscope.contract.methods.fields import max_rank


def option_problems(config: RunConfig, modules: Sequence[LinearModule]) -> list[FieldProblem]:
    """Options that the method can't use with these modules. `config` is resolved: its max_length is at most the model's."""
    training = config.training
    if config.method.reads_activations and config.task.has_target_tokens:
        return [
            FieldProblem(
                "config.method.name",
                config.method.name,
                "assigns ranks by the activations of the input's tokens, but in this task the decoder reads those of the target",
                "Use another method.",
            )
        ]
    return config.method.problems(modules, batch_size=training.batch_size, max_length=training.max_length)


def option_warnings(config: RunConfig, modules: Sequence[LinearModule], total_steps: int) -> list[str]:
    """Options that have no effect, or not the one that their name suggests."""
    method, training = config.method, config.training
    warnings = [
        *method.warnings(learning_rate=training.learning_rate, total_steps=total_steps),
        *_rank_warnings(method, modules),
    ]
    if training.checkpoint_every > total_steps and training.checkpoint_minutes is None:
        warnings.append(
            f"checkpoint_every {training.checkpoint_every} is above the {total_steps} steps: there is one checkpoint, at the "
            "end, and a run that loses its worker starts from step 0."
        )
    if training.raw_scores and not method.has_raw_scores:
        warnings.append(f"raw_scores has no effect: method {config.method.name} has no raw scores.")
    headline = config.task.headline().name
    if not training.keep_best and training.best_metric not in (None, headline):
        warnings.append(f"best_metric {training.best_metric} has no effect: keep_best is off.")
    if config.hardware.precision == "bf16" and config.hardware.device == "cpu":
        warnings.append("precision bf16 on a CPU is slower than float32 and less exact.")
    late = [entry.step for entry in config.steering if entry.step > total_steps]
    if late:
        warnings.append(f"Steering at step {late[0]} never takes effect: the run ends at step {total_steps}.")
    return warnings


def _rank_warnings(method: Method, modules: Sequence[LinearModule]) -> list[str]:
    """Warns about a rank above that of a matrix: the excess components have no effect."""
    if not method.tolerates_excess_rank:
        return []
    ranks = method.start_ranks(len(modules))
    above = [(module, rank) for module, rank in zip(modules, ranks, strict=False) if rank > max_rank(module)]
    if not above:
        return []
    module, rank = above[0]
    more = f", and above that of {len(above) - 1} more modules" if len(above) > 1 else ""
    return [
        f"Rank {rank} is above the {max_rank(module)} that {module.name} ({_size(module)}) can use{more}: "
        "the components above it cost parameters and add nothing."
    ]


def _size(module: LinearModule) -> str:
    return f"{module.out_features} x {module.in_features}"
