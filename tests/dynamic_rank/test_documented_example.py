"""The script in docs/method.md runs on a tiny model and, in `make test-all`, unchanged on the real one."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import dynamic_rank
from tests.tiny import make_reviews, make_tiny_bert

PAGE = Path(__file__).parents[2] / "docs" / "method.md"
LAYERS = 6  # as in the real model


def documented() -> str:
    script: str = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[0]
    assert "export_lora(model" in script
    return script


def assert_plain_lora(folder: Path, printed: str) -> None:
    ranks = json.loads((folder / "adapter" / "rank_pattern.json").read_text())
    assert len(ranks) == 6 * LAYERS
    assert sum(ranks.values()) == 6 * LAYERS * 4
    assert len(set(ranks.values())) > 1
    assert re.search(r"^20 144 \[", printed, flags=re.MULTILINE)  # the final pruning, as the script prints it


# The script runs without a GPU, and Trainer requests pinned memory by default.
@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_documented_script_exports_a_plain_lora_of_a_tiny_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_tiny_bert(tmp_path / "model", layers=LAYERS)
    texts = make_reviews(tmp_path / "reviews.csv")
    loading = r"model_folder = .*?\n    reviews = .*?\n"
    assert len(re.findall(loading, documented(), flags=re.DOTALL)) == 1
    own = f"model_folder = Path({str(model)!r})\nwith open({str(texts)!r}) as file:\n"
    own += '    reviews = [{"category": row["label"]} | row for row in csv.DictReader(file)]\n'
    path = tmp_path / "script.py"
    path.write_text(re.sub(loading, lambda _: own, documented(), flags=re.DOTALL), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path))
    assert_plain_lora(tmp_path, capsys.readouterr().out)


@pytest.mark.wide
def test_documented_script_runs_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(documented(), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path(dynamic_rank.__file__).parents[1]), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert_plain_lora(tmp_path, done.stdout)
