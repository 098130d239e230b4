"""Describes, validates, plans and trains a run with method toy."""

from pathlib import Path
from typing import Any

import rankscope
from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.methods import METHODS
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from tests.tiny import make_reviews, make_tiny_bert
from tests.worker.child.test_training import Life


def use(folder: Path) -> dict[str, Any]:
    """Returns what it saw. `folder` is a new folder."""
    settings = Settings(_env_file=None, data_dir=folder)
    make_tiny_bert(settings.models_dir / "tiny-bert")
    make_reviews(settings.datasets_dir / "reviews.csv")
    config = {
        "model": {"id": "local:tiny-bert"},
        "data": {"id": "local:reviews"},
        "method": {"name": "toy", "pairs": 1},
        "training": {"max_steps": 4, "batch_size": 8, "max_length": 16, "eval_every": 2, "checkpoint_every": 2},
    }
    plan = make_plan(RunConfig.model_validate(config), Catalog(settings))
    life = Life(folder, plan.config, folder / "run")
    (artifact,) = life.of("artifact")
    newest = life.ranks()[4]
    return {
        "package": str(Path(rankscope.__file__).parent),
        "label": METHODS["toy"].label,
        "in_the_form": "ToyMethod" in RunConfig.model_json_schema()["$defs"],
        "default_name": plan.config.method.run_name,
        "modules": plan.n_modules,
        "curve": plan.curve.points,
        "planned_parameters": plan.trained_parameters,
        "outcome": life.outcome.kind,
        "live": newest.live,
        "kept_parameters": artifact.kept_parameters,
        "planned_kept_parameters": plan.kept_parameters,
        "artifact": artifact.name,
    }
