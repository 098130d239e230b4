"""Presets that need other models and data are planned with tiny stand-ins under the same names."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.presets import presets
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from tests.kinds import make_folder
from tests.tiny import make_reviews
from tests.worker.child.tasks.installation import CHAT
from tests.worker.child.tasks.test_question_answering import ROWS, UNANSWERABLE
from tests.worker.child.tasks.test_text_to_text import ROWS as SUMMARIES

KEYS = ("chat", "squad", "squad-2", "xsum", "cnn-dailymail")
NEEDING = {preset.key: preset for preset in presets() if preset.key in KEYS}
KINDS = {"local:smollm2": "llama", "local:roberta-base": "roberta", "local:bart-base": "bart"}
ARTICLES = [{"article": row["document"], "highlights": row["summary"]} for row in SUMMARIES]
ROWS_OF: dict[str, list[dict[str, Any]]] = {
    "local:squad": ROWS,
    "local:squad_v2": UNANSWERABLE,
    "local:xsum": SUMMARIES,
    "local:cnn_dailymail": ARTICLES,
}


@pytest.mark.parametrize("key", KEYS)
def test_a_preset_fits_the_columns_of_its_data_and_the_kind_of_its_model(tmp_path: Path, key: str) -> None:
    config = NEEDING[key].config
    model = make_folder(tmp_path / "models" / config.model.id.removeprefix("local:"), KINDS[config.model.id])
    (model / "chat_template.jinja").write_text(CHAT)
    data = config.data
    if data.id in ROWS_OF:
        path = tmp_path / "datasets" / f"{data.id.removeprefix('local:')}.jsonl"
        path.parent.mkdir()
        parts = ("train", "train", "validation", "test")
        rows = [{**row, "split": parts[n % 4]} for n, row in enumerate(ROWS_OF[data.id])]
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        make_reviews(tmp_path / "datasets" / "reviews.csv")
        data = data.model_copy(update={"id": "local:reviews"})
    training = config.training.model_copy(update={"epochs": None, "max_steps": 1000})
    fitted = config.model_copy(update={"data": data, "training": training})
    plan = make_plan(fitted, Catalog(Settings(_env_file=None, data_dir=tmp_path)))
    unused = [each.reason for each in plan.split.left_out]
    assert unused == (["part 'test' in column 'split', which is not used"] if data.split == "parts" else [])
    assert plan.n_modules > 0
