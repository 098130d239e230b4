"""Text to text: runs of each kind of encoder-decoder, truncation, and the rejection of unsuitable models."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForSeq2SeqLM

from rankscope.contract.errors import BadInput
from rankscope.contract.evaluation.results import RESULTS_FILE
from rankscope.contract.evaluation.row_values import read_row_values, row_values_file
from rankscope_worker.child.predictions import predict
from rankscope_worker.child.training import Outcome, PermanentError
from tests.tiny import FILLER, WORDS
from tests.worker.child.tasks.installation import DYNAMIC_RANK, install, plan_of
from tests.worker.child.test_training import Life

ROWS = [
    {"document": f"the {FILLER[n % 10]} is {word} , a {FILLER[n // 6]}", "summary": f"a {word} {FILLER[n % 10]}"}
    for n in range(60)
    for word in (WORDS["fresh"][n % 5], WORDS["rotten"][n % 5])
]


def task(**options: Any) -> dict[str, Any]:
    return {"name": "text_to_text", "generated_rows": 4, "max_target_length": 6, "beams": 2, **options}


@pytest.mark.parametrize(("kind", "method"), [("bart", DYNAMIC_RANK), ("t5", {"name": "lora", "rank": 2})])
def test_a_run_ends_with_rouge_and_writes_texts(
    tmp_path: Path, kind: str, method: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = install(tmp_path, kind, ROWS)
    plan = plan_of(folder, task(prefix="film ", min_target_length=2, no_repeat_ngram_size=2), method)
    life = Life(folder, plan.config, tmp_path / "run")
    assert life.outcome == Outcome("done", 8, is_saved=True)
    assert {name for name, step in life.metrics() if name.startswith("eval_") and step == 8} == {
        "eval_loss",
        *(metric.name for metric in plan.config.task.metrics),
    }
    (modules,) = life.of("modules")
    assert (len(modules.modules), modules.trained_parameters) == (plan.n_modules, plan.trained_parameters)
    header, *results = (life.folder / RESULTS_FILE).read_text(encoding="utf-8").splitlines()
    assert json.loads(header)["kept_rows"] == len(results) == 4
    assert all(json.loads(one)["loss"] > 0 and json.loads(one)["inputs"].keys() == {"document"} for one in results)
    rows = read_row_values(life.folder / row_values_file("final")).values
    assert list(rows) == ["rougeL", "loss", "token_accuracy"]
    assert np.nanmean(rows["rougeL"]) == pytest.approx(life.metrics()["eval_rougeL", 8], abs=1e-6)
    assert np.isnan(rows["rougeL"]).tolist() == [number >= 4 for number in range(plan.eval_rows)]
    by_row = {row["row"]: row["loss"] for row in map(json.loads, results)}
    assert rows["loss"][:4].tolist() == pytest.approx([by_row[number] for number in range(4)])
    (artifact,) = life.of("artifact")
    items, note = predict(
        plan.config, [], life.model_folder, life.folder / artifact.name, [{"document": "the film is good"}]
    )
    assert (items[0].base.kind, items[0].tuned.kind, note) == ("text", "text", None)
    base = repr(str(folder / "models" / "tiny"))
    exec(compile(plan.config.task.usage(str(life.folder / artifact.name), base, []), "usage", "exec"), {})
    assert capsys.readouterr().out


def test_a_stopped_run_resumes_exactly(tmp_path: Path) -> None:
    config = plan_of(install(tmp_path, "bart", ROWS), task()).config
    whole = Life(tmp_path, config, tmp_path / "whole")
    first = Life(tmp_path, config, tmp_path / "run", stop_at=4)  # in the evaluation of step 4
    assert first.outcome == Outcome("stopped", 4, is_saved=True)
    second = Life(tmp_path, config, tmp_path / "run", attempt=2)
    assert first.metrics() | second.metrics() == whole.metrics()
    third = Life(tmp_path, config, tmp_path / "run", attempt=3)  # as if the second one died before its results
    assert third.metrics() == {}
    assert (third.folder / RESULTS_FILE).read_text() == (whole.folder / RESULTS_FILE).read_text()


def test_truncated_targets_are_reported(tmp_path: Path) -> None:
    rows = [*ROWS, *({"document": f"a {n}", "summary": "good " * 30} for n in range(30))]
    plan = plan_of(
        install(tmp_path, "bart", rows), task(max_target_length=20), {"name": "lora", "rank": 2}, max_steps=1
    )
    warnings = {
        warning.code: warning.message for warning in Life(tmp_path, plan.config, tmp_path / "run").of("warning")
    }
    assert warnings["targets_cut"] == "The targets of 30 of 150 rows are truncated to 20 tokens."


def test_a_decoder_is_refused(tmp_path: Path) -> None:
    config = plan_of(install(tmp_path, "bart", ROWS), task()).config
    shutil.rmtree(tmp_path / "models" / "tiny")
    folder = install(tmp_path, "llama", ROWS)
    with pytest.raises(BadInput, match="can't do the task"):
        plan_of(folder, task())
    with pytest.raises(PermanentError, match=r"Models of type llama .* have no text-to-text model"):
        Life(folder, config, tmp_path / "run")


def test_an_encoder_decoder_without_its_language_model_is_refused(tmp_path: Path) -> None:
    folder = install(tmp_path, "bart", ROWS)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder / "models" / "tiny")
    model.config.tie_word_embeddings = False
    model.model.save_pretrained(folder / "models" / "tiny")
    with pytest.raises(PermanentError, match=r"lack .*lm_head.weight.*, so that it is not a text-to-text model"):
        Life(folder, plan_of(folder, task()).config, tmp_path / "run")


def test_rows_without_a_target_and_impossible_lengths_are_refused(tmp_path: Path) -> None:
    folder = install(tmp_path, "bart", [*ROWS, {"document": "a film", "summary": " "}])
    plan = plan_of(folder, task())
    assert [(each.reason, each.rows) for each in plan.split.left_out] == [("no target in column 'summary'", 1)]
    with pytest.raises(ValueError, match="it must be below max_target_length"):
        plan_of(folder, task(min_target_length=6))
    with pytest.raises(BadInput, match="the decoder reads those of the target") as error:
        plan_of(folder, task(), {"name": "eva", "rank": 2})
    assert error.value.problems[0].field == "config.method.name"
    with pytest.raises(BadInput, match="source_column"):
        plan_of(folder, task(source_column="x"))
