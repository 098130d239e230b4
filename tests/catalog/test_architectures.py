"""What the server knows of each kind of model is what transformers and dynamic_rank make of it."""

import json
from types import ModuleType

from rankscope.catalog.models.architectures import architectures


def test_file_of_architectures_is_what_its_script_writes(script: ModuleType) -> None:
    """After an update of transformers: run scripts/model_architectures.py."""
    written = json.loads(script.TARGET.read_text(encoding="utf-8"))
    made = json.loads(script.as_text(script.everything()))
    assert list(written) == list(made)
    for kind, entry in made.items():
        assert written[kind] == entry, kind


def test_every_kind_of_text_classifier_is_known(script: ModuleType) -> None:
    assert set(architectures()) == set(script.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
    unknown = {kind for kind, architecture in architectures().items() if not architecture.is_known}
    assert unknown <= {"cohere_compass_text", "layoutlmv2"}
