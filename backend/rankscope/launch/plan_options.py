"""What a plan says of options: those that cannot work with this model, and those that do something else than they say."""

from collections.abc import Sequence

from rankscope.catalog import LinearModule
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import FieldProblem
from rankscope.contract.methods import (
    AnyMethod,
    BudgetedMethod,
    ControlMethod,
    DynamicRankMethod,
    EvaMethod,
    FullMethod,
    LoraShrinkMethod,
)


def option_problems(config: RunConfig, modules: Sequence[LinearModule]) -> list[FieldProblem]:
    """What the method cannot do with these modules. `config` is resolved: its max_length is at most the model's."""
    method, training = config.method, config.training
    if isinstance(method, LoraShrinkMethod):
        rank = method.resolved_initial_rank
        small = next((module for module in modules if rank > _most_rank(module)), None)
        if small is not None:
            most = min(map(_most_rank, modules))
            return [
                FieldProblem(
                    "config.method.initial_rank",
                    rank,
                    f"is {rank}, above the {_most_rank(small)} that {small.name} ({_size(small)}) can have",
                    f"Use {most} or less"
                    + ("." if most >= method.target_rank else f", and a target_rank of {most} or less."),
                )
            ]
    if isinstance(method, EvaMethod):
        wanted = method.most_rank
        small = next((module for module in modules if wanted > module.in_features), None)
        if small is not None:
            return [
                FieldProblem(
                    "config.method.rank",
                    method.rank,
                    f"is {method.rank}, times rho {method.rho:g} up to {wanted} components of a module, and {small.name} has "
                    f"only {small.in_features} inputs",
                    "Lower rank or rho.",
                )
            ]
        tokens = training.batch_size * training.max_length
        if wanted > tokens:
            return [
                FieldProblem(
                    "config.method.rank",
                    method.rank,
                    f"is {method.rank}, times rho {method.rho:g} up to {wanted} components of a module, and a batch has at "
                    f"most {tokens} tokens (batch_size {training.batch_size} x max_length {training.max_length}) to find them in",
                    "Lower rank or rho, or raise batch_size or max_length.",
                )
            ]
    return []


def option_warnings(config: RunConfig, modules: Sequence[LinearModule], total_steps: int) -> list[str]:
    """Options that have no effect, or another one than their names say."""
    method, training = config.method, config.training
    warnings = _rank_warnings(method, modules)
    if training.checkpoint_every > total_steps and training.checkpoint_minutes is None:
        warnings.append(
            f"checkpoint_every {training.checkpoint_every} is above the {total_steps} steps: there is one checkpoint, at the "
            "end, and a run that loses its worker starts from step 0."
        )
    if training.raw_scores and not isinstance(method, DynamicRankMethod):
        warnings.append(f"raw_scores has no effect: method {method.name} smooths no scores.")
    if config.hardware.precision == "bf16" and config.hardware.device == "cpu":
        warnings.append("precision bf16 on a CPU is slower than float32 and less exact.")
    late = [entry.step for entry in config.steering if entry.step > total_steps]
    if late:
        warnings.append(f"Steering at step {late[0]} never takes effect: the run ends at step {total_steps}.")
    return warnings


def _rank_warnings(method: AnyMethod, modules: Sequence[LinearModule]) -> list[str]:
    """A rank above a matrix' own adds components that can add nothing; the methods below bear that."""
    if isinstance(method, FullMethod | LoraShrinkMethod | EvaMethod):
        return []
    if isinstance(method, ControlMethod):
        ranks = list(method.rank_pattern.values())
    else:
        ranks = [method.resolved_initial_rank if isinstance(method, BudgetedMethod) else method.rank] * len(modules)
    above = [(module, rank) for module, rank in zip(modules, ranks, strict=False) if rank > _most_rank(module)]
    if not above:
        return []
    module, rank = above[0]
    more = f", and above that of {len(above) - 1} more modules" if len(above) > 1 else ""
    return [
        f"Rank {rank} is above the {_most_rank(module)} that {module.name} ({_size(module)}) can use{more}: "
        "the components above it cost parameters and add nothing."
    ]


def _most_rank(module: LinearModule) -> int:
    return min(module.out_features, module.in_features)


def _size(module: LinearModule) -> str:
    return f"{module.out_features} x {module.in_features}"
