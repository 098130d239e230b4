"""Describes, validates, plans, trains and asks a run of task grading."""

from pathlib import Path
from typing import Any

import rankscope
from rankscope.api.routes.catalog import list_tasks
from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from rankscope_worker.child.predictions import predict
from tests.tiny import make_tiny_bert
from tests.worker.child.test_training import Life


def use(folder: Path) -> dict[str, Any]:
    """Returns what it saw. `folder` is a new folder."""
    settings = Settings(_env_file=None, data_dir=folder)
    make_tiny_bert(settings.models_dir / "tiny-bert")
    settings.datasets_dir.mkdir()
    rows = [f"a good film {n},{(1, 2, 4)[n % 3]}" for n in range(120)] + ["a film without a grade,absent"]
    (settings.datasets_dir / "grades.csv").write_text("\n".join(["note,grade", *rows]), encoding="utf-8")
    config = {
        "model": {"id": "local:tiny-bert"},
        "data": {"id": "local:grades"},
        "task": {"name": "grading", "note_column": "note", "grade_column": "grade"},
        "method": {"name": "lora", "rank": 2},
        "training": {"max_steps": 4, "batch_size": 8, "max_length": 16, "eval_every": 2, "checkpoint_every": 2},
    }
    try:
        make_plan(
            RunConfig.model_validate(config | {"task": {"name": "grading", "grade_column": "x"}}), Catalog(settings)
        )
        refused = None
    except BadInput as error:
        refused = [problem.field for problem in error.problems]
    plan = make_plan(RunConfig.model_validate(config), Catalog(settings))
    life = Life(folder, plan.config, folder / "run")
    (artifact,) = life.of("artifact")
    labels = plan.environment["labels"]
    items, _ = predict(plan.config, labels, life.model_folder, life.folder / artifact.name, [{"note": "a good film"}])
    (grading,) = (task for task in list_tasks().items if task.name == "grading")
    return {
        "package": str(Path(rankscope.__file__).parent),
        "tasks": [task.name for task in list_tasks().items],
        "titles": [metric.title for metric in grading.metrics if metric.group == "evaluation"],
        "in_the_form": "Grading" in RunConfig.model_json_schema()["$defs"],
        "refused": refused,
        "left_out": [(each.reason, each.rows) for each in plan.split.left_out],
        "classes": [each.label for each in plan.split.classes],
        "best_by": plan.config.training.best_metric,
        "lower_is_better": plan.config.best_metric.lower_is_better,
        "evaluated": sorted({name for name, _ in life.metrics() if name.startswith("eval_")}),
        "outcome": life.outcome.kind,
        "artifact": artifact.name,
        "answer": sorted(items[0].tuned.model_dump()["probabilities"]),
    }
