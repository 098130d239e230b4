"""What the catalogue finds, read without torch from headers and files."""

import json
from pathlib import Path

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput, UnknownName
from rankscope.settings import Settings
from tests.tiny import make_reviews, make_tiny_bert


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    make_tiny_bert(settings.models_dir / "tiny-bert", hidden=32, layers=3)
    make_reviews(settings.datasets_dir / "reviews.csv", rows=40)
    return settings


def test_model_folder_is_described_as_torch_sees_it(settings: Settings) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    entry = Catalog(settings).model("local:tiny-bert")
    model = AutoModelForSequenceClassification.from_pretrained(entry.folder)
    in_blocks = {
        name: (module.out_features, module.in_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and any(part.isdigit() for part in name.split("."))
    }
    assert {module.name: (module.out_features, module.in_features) for module in entry.modules} == in_blocks
    assert entry.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert entry.layers == 3
    assert {module.kind for module in entry.modules} == {
        "attention.query", "attention.key", "attention.value", "attention.output", "intermediate", "output",
    }  # fmt: skip


def test_fingerprint_changes_with_the_model(settings: Settings) -> None:
    before = Catalog(settings).model("local:tiny-bert").fingerprint
    make_tiny_bert(settings.models_dir / "tiny-bert", hidden=64, layers=3)
    assert Catalog(settings).model("local:tiny-bert").fingerprint != before


def test_unknown_model_names_field_value_and_what_there_is(settings: Settings) -> None:
    with pytest.raises(UnknownName) as error:
        Catalog(settings).model("../../etc")
    problem = error.value.problems[0]
    assert (problem.field, problem.value) == ("config.model.id", "../../etc")
    assert "local:tiny-bert" in problem.next_step


def test_csv_and_json_lines_with_the_same_rows_read_the_same(settings: Settings) -> None:
    rows = Catalog(settings).dataset("local:reviews").read()
    lines = settings.datasets_dir / "lines.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    entry = Catalog(settings).dataset("local:lines")
    assert entry.read() == rows
    assert (entry.text_columns, entry.label_column, entry.rows) == (("text",), "label", 40)
    assert entry.labels("label") == {"fresh": 20, "rotten": 20}


def test_file_with_a_broken_line_says_which(settings: Settings) -> None:
    (settings.datasets_dir / "bad.csv").write_text("text,label\nfine,fresh\nonly one\n", encoding="utf-8")
    with pytest.raises(BadInput, match="line 3"):
        Catalog(settings).dataset("local:bad")


def test_rotten_tomatoes_has_no_plots_no_doubles_and_a_film_for_each_row(settings: Settings) -> None:
    rows = Catalog(settings).dataset("rotten-tomatoes").read()
    assert len({row["text"] for row in rows}) == len(rows) > 12_000
    assert {row["category"] for row in rows} == {"fresh", "rotten"}
    assert all(row["movie_name"] for row in rows)
