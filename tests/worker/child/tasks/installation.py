"""A data folder with one tiny model and one data set, and a plan for it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.settings import Settings
from tests.kinds import make_folder

CHAT = (
    "{% for message in messages %}<s>{{ message.role }}\n{{ message.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
DYNAMIC_RANK = {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2}


def install(folder: Path, kind: str, rows: Sequence[dict[str, Any]], *, chat_template: str | None = None) -> Path:
    """Saves the model as `local:tiny` and the rows as `local:rows`."""
    make_folder(folder / "models" / "tiny", kind)
    if chat_template is not None:
        path = folder / "models" / "tiny" / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": chat_template}))
    (folder / "datasets").mkdir(exist_ok=True)
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "datasets" / "rows.jsonl").write_text(text, encoding="utf-8")
    return folder


def plan_of(
    folder: Path,
    task: dict[str, Any],
    method: dict[str, Any] = DYNAMIC_RANK,
    data: dict[str, Any] | None = None,
    **training: Any,
) -> RunPlan:
    short = {
        "max_steps": 8,
        "batch_size": 4,
        "max_length": 48,
        "learning_rate": 1e-2,
        "eval_every": 4,
        "checkpoint_every": 4,
    }
    config = {
        "model": {"id": "local:tiny"},
        "data": {"id": "local:rows", **(data or {})},
        "task": task,
        "method": method,
        "training": short | training,
    }
    return make_plan(RunConfig.model_validate(config), Catalog(Settings(_env_file=None, data_dir=folder)))
