"""The parts of the study. Each is one experiment, found again by its name, so that the study goes on over days."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "Study: "
MINILM = "minilm"
BUDGETS = (1, 2, 4, 8)
SEEDS = [0, 1, 2, 3, 4]
TUNING = {"trials": 6, "lowest_rate": 1e-4, "highest_rate": 3e-2, "seeds": [1000]}
_BEST = {"init": "zero_b", "score": "sensitivity"}
"""Of the variants of dynamic rank in earlier studies (docs/method.md). Ablations change one option of it."""


@dataclass(frozen=True)
class Part:
    name: str
    """Of its files in docs/study, and of its experiment."""
    title: str
    request: Mapping[str, Any]
    """The body of POST /experiments, without the name. `data.id` is a `DataSet.name`."""

    @property
    def experiment(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def data(self) -> str:
        return str(self.request["config"]["data"]["id"])


@dataclass(frozen=True)
class _Texts:
    key: str
    title: str
    config: Mapping[str, Any]
    """The parts `data` and `task` of a run's configuration."""
    max_length: int


_DATA = (
    _Texts("reviews", "Rotten Tomatoes", {"data": {"id": "rotten-tomatoes", "split_seed": 1}}, 48),
    _Texts(
        "r8",
        "Reuters R8",
        {
            "data": {"id": "study-reuters-r8", "split": "parts", "split_column": "split"},
            "task": {"name": "text_classification", "text_columns": ["text"], "label_column": "label"},
        },
        128,
    ),
    _Texts(
        "boolq",
        "BoolQ, pairs of a question and a passage",
        {
            "data": {"id": "study-boolq", "split_seed": 1},
            "task": {"name": "text_classification", "text_columns": ["question", "passage"], "label_column": "label"},
        },
        192,
    ),
)


def parts(model: str = MINILM) -> list[Part]:
    """Returns all parts, the cheapest first: the short one, the methods, the ablations."""
    short = [_short(model)] if model == MINILM else []
    return [
        *short,
        *(_methods(texts, budget, model) for budget in (2, 1, 4, 8) for texts in _DATA),
        *(part for texts in _DATA[:2] for part in _ablations(texts, model)),
    ]


def _short(model: str) -> Part:
    """What one CPU core trains in an hour. Too few steps for other conclusions than about steps as few as these."""
    return Part(
        "reviews-rank-2-short",
        "Rotten Tomatoes, mean rank 2, short trainings",
        {
            "config": {
                "model": {"id": model},
                **_DATA[0].config,
                "training": _training(200, 16, 32),
            },
            "methods": [{"method": "dynamic_rank", "options": _BEST, "name": "Dynamic rank (zero_b, sensitivity)"}],
            "budgets": [2],
            "seeds": SEEDS,
            "tuning": {"trials": 3, "lowest_rate": 3e-4, "highest_rate": 3e-3, "seeds": [1000]},
            "controls": ["found_ranks", "random_score"],
        },
    )


def _methods(texts: _Texts, budget: int, model: str) -> Part:
    """Every method at one budget with its controls, of which the random score is the method `random`."""
    methods = [
        {"method": "dynamic_rank", "name": "Dynamic rank (paper)"},
        {"method": "dynamic_rank", "options": _BEST, "name": "Dynamic rank (zero_b, sensitivity)"},
        *({"method": name} for name in ("adalora", "eva", "lora_shrink", "sora", "full")),
    ]
    return Part(
        f"{_prefix(model)}{texts.key}-rank-{budget}",
        f"{texts.title}, mean rank {budget}, all methods and controls",
        _request(texts, budget, model) | {"methods": methods},
    )


def _ablations(texts: _Texts, model: str) -> list[Part]:
    groups: dict[str, dict[str, dict[str, Any]]] = {
        "score-init": {
            **{f"score {name}": {"score": name} for name in ("norm_share", "norm", "abs_c", "random")},
            **{f"init {name}": {"init": name} for name in ("paper", "small_random")},
        },
        "schedule-size": {
            **{f"schedule {name}": {"schedule": name} for name in ("fast_first", "linear")},
            **{f"eta {eta:g}": {"eta": eta} for eta in (0.0, 0.5)},
            **{f"interval {steps}": {"prune_interval": steps} for steps in (10, 250)},
            **{f"initial rank {rank}": {"initial_rank": rank} for rank in (4, 8)},
            "budget in parameters": {"budget_unit": "parameters"},
        },
    }
    return [
        Part(
            f"{_prefix(model)}{texts.key}-rank-2-{name}",
            f"{texts.title}, mean rank 2, ablations of dynamic rank (zero_b, sensitivity): {name.replace('-', ' and ')}",
            _request(texts, 2, model)
            | {
                "methods": [
                    {"method": "dynamic_rank", "options": _BEST | changes, "name": title}
                    for title, changes in {"zero_b, sensitivity": {}, **group}.items()
                ],
                "controls": [],
            },
        )
        for name, group in groups.items()
    ]


def _request(texts: _Texts, budget: int, model: str) -> dict[str, Any]:
    training = _training(1500, 32, texts.max_length)
    return {
        "config": {"model": {"id": model}, **texts.config, "training": training},
        "budgets": [budget],
        "seeds": SEEDS,
        "tuning": TUNING,
    }


def _training(steps: int, batch: int, max_length: int) -> dict[str, Any]:
    # One evaluation, at the end.
    size = {"max_steps": steps, "batch_size": batch, "max_length": max_length}
    return size | {"eval_every": steps, "checkpoint_every": steps}


def _prefix(model: str) -> str:
    return "" if model == MINILM else f"{model.rpartition(':')[2].lower()}-"
