"""Case: a task, its texts, the configuration of its runs, and what they are compared with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rankscope.catalog.data.splits import Split

SEED = 0
_GAIN = 0.01
Json = Mapping[str, Any]
Trained = Literal["nothing", "lora", "dynamic_rank"]


@dataclass(frozen=True)
class Finished:
    """What a run has stored at its end."""

    metrics: Mapping[str, float]
    """Of its last evaluation."""
    results: Sequence[Json]
    """Its predictions for up to 100 evaluation rows."""
    kept_parameters: int
    seconds: float


@dataclass(frozen=True)
class Guess:
    """A guess that needs no model."""

    title: str
    score: Callable[[Split], float]


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    """Task, texts and model, in words."""
    metric: str
    measure: Callable[[Finished], float]
    guess: Guess
    data: Json
    """`id`: a data set of the installation, or the name of one of `texts.SETS`."""
    task: Json
    training: Json
    model: str = "minilm"
    rank: int = 4

    def config(self, trained: Trained, data_id: str) -> dict[str, Any]:
        """Returns the configuration of a run. With "nothing", the model is evaluated as it is.

        That run has one step, which is the first one of the warm-up and has a learning rate of 0, and LoRA starts with the
        outputs of the model. The head has the same random values as in the other runs, because they have the same seed.
        """
        method: dict[str, Any] = {"name": "lora", "rank": self.rank}
        if trained == "dynamic_rank":
            method = {"name": "dynamic_rank", "target_rank": self.rank, "init": "zero_b", "score": "sensitivity"}
            method["prune_interval"] = 5
        training = {
            "seed": SEED,
            "keep_best": False,
            "eval_every": 10_000,
            "checkpoint_every": 10_000,
            **self.training,
            **({"max_steps": 1} if trained == "nothing" else {}),
        }
        return {
            "model": {"id": self.model},
            "data": {**self.data, "id": data_id},
            "task": dict(self.task),
            "method": method,
            "training": training,
        }

    @property
    def settings(self) -> str:
        """Returns, in words, everything that the figures depend on."""
        training = self.training
        return (
            f"{self.about}; {training['max_steps']} steps of {training['batch_size']} rows of at most "
            f"{training['max_length']} tokens, learning rate {training['learning_rate']:g}, mean rank {self.rank}, "
            f"seed {SEED}"
        )

    def learned_from(self, before: float, guessed: float) -> float:
        """Returns the value from which on the task counts as learned: a point above the model before and the guess."""
        return max(before, guessed) + _GAIN
