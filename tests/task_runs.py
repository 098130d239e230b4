"""Runs of a task in the test's process: rows of a data set, a plan, a training, and predictions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.predictions import PredictionItem
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.settings import Settings
from rankscope_worker.child.predictions import predict
from tests.worker.child.test_training import Life

LORA: Mapping[str, object] = {"name": "lora", "rank": 4}


class TaskRun:
    """A finished run of a tiny model in `data_dir`, with `rows` as its data set."""

    def __init__(
        self,
        data_dir: Path,
        rows: Sequence[Mapping[str, object]],
        task: Mapping[str, object],
        method: Mapping[str, object] = LORA,
        model: str = "local:tiny-bert",
        **training: Any,
    ) -> None:
        self.settings = Settings(data_dir=data_dir)
        name = f"{task['name']}.jsonl"
        (self.settings.datasets_dir / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        self.config = {
            "model": {"id": model},
            "data": {"id": f"local:{name}", "eval_fraction": 0.3},
            "task": dict(task),
            "method": dict(method),
            "training": {"max_steps": 60, "batch_size": 16, "max_length": 16, "eval_every": 1000, "learning_rate": 1e-2}
            | training,
        }
        self.plan: RunPlan = make_plan(RunConfig.model_validate(self.config), Catalog(self.settings))
        self.life = Life(data_dir, self.plan.config, data_dir / f"run-{task['name']}")

    @property
    def last(self) -> dict[str, float]:
        """The metrics of the last evaluation."""
        return {name: value for (name, _), value in self.life.metrics().items() if name.startswith("eval_")}

    def predict(self, *inputs: dict[str, str]) -> list[PredictionItem]:
        artifact = self.life.folder / self.life.of("artifact")[0].name
        labels = self.plan.environment["labels"]
        return predict(self.plan.config, labels, self.life.model_folder, artifact, inputs)[0]
