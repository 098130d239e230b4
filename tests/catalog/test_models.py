"""The models that the catalogue finds, read from headers and files without torch."""

from pathlib import Path

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.errors import UnknownName
from rankscope.settings import Settings
from tests.tiny import make_tiny_bert


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    make_tiny_bert(settings.models_dir / "tiny-bert", hidden=32, layers=3)
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
        "attention.query",
        "attention.key",
        "attention.value",
        "attention.output",
        "intermediate",
        "output",
    }


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
