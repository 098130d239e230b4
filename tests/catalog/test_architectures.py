"""The server's data about each kind of model equals what transformers and dynamic_rank produce."""

import json
import re
from typing import Any

from rankscope.catalog.models.architectures import architectures
from rankscope.catalog.models.attention_options import LAYER_TYPES, OLDER_LAYER_TYPES
from rankscope.catalog.models.config import ACTIVATIONS, NEVER_NULL, check_options
from rankscope.catalog.models.files import UnusableModel


def test_architectures_file_equals_the_output_of_its_script() -> None:
    """After an update of transformers: run `python -m scripts.model_architectures`."""
    from scripts.model_architectures import TARGET, as_text, everything

    written = json.loads(TARGET.read_text(encoding="utf-8"))
    made = json.loads(as_text(everything()))
    assert list(written) == list(made)
    for kind, entry in made.items():
        assert written[kind] == entry, kind


def test_every_kind_of_text_classifier_is_known() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

    assert set(architectures()) == set(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
    unknown = {kind for kind, architecture in architectures().items() if not architecture.is_known}
    assert unknown <= {"cohere_compass_text", "layoutlmv2"}


def test_activations_equal_those_of_transformers() -> None:
    from transformers.activations import ACT2FN

    assert set(ACT2FN) == ACTIVATIONS


def test_kinds_of_layers_equal_those_of_transformers() -> None:
    from transformers import configuration_utils

    assert set(configuration_utils.ALLOWED_LAYER_TYPES) == LAYER_TYPES
    assert set(configuration_utils._LEGACY_LAYER_TYPE_REMAP) == OLDER_LAYER_TYPES


def test_an_option_is_refused_exactly_when_transformers_does_not_take_its_type() -> None:
    from transformers import CONFIG_MAPPING

    checked = 0
    for kind, architecture in architectures().items():
        check_options(json.loads(CONFIG_MAPPING[kind]().to_json_string(use_diff=False)), architecture)
        for option in architecture.types:
            if kind not in ("bert", "bart", "gpt2", "llama", "t5", "deberta-v2"):
                continue
            value: Any
            for value in ("swish", 3, 0.5, True, None):
                if value is None and (option.endswith("dropout") or option in NEVER_NULL):
                    continue  # left out when the model is created, or fails only then
                try:
                    CONFIG_MAPPING[kind](**{option: value})
                    is_taken = True
                except Exception as error:
                    is_taken = "expected" not in str(error) and "any type" not in str(error)
                try:
                    check_options({option: value}, architecture)
                    is_let_through = True
                except UnusableModel as problem:
                    # Its type is right.
                    is_let_through = bool(re.search("between 0 and 1$|above 1$|does not divide", problem.problem))
                assert is_taken == is_let_through, (kind, option, value)
                checked += 1
    assert checked > 300
