"""Errors of pydantic as sentences for the user of the form."""

import pytest
from pydantic import ValidationError

from rankscope.contract.config import RunConfig
from rankscope.contract.problems import bad_input

CONFIG: dict[str, dict[str, object]] = {
    "model": {"id": "minilm"},
    "data": {"id": "rotten-tomatoes"},
    "method": {"name": "lora", "rank": 4},
    "training": {"max_steps": 50},
}


@pytest.mark.parametrize(
    ("section", "field", "value", "sentence"),
    [
        ("model", "id", None, "is empty; it must be text Use text."),
        ("model", "id", "", "is empty; it needs at least 1 character Use a longer text."),
        ("data", "eval_fraction", 0, "is 0; it must be above 0 Use a number above 0."),
        ("method", "rank", "4", "is '4'; it must be an integer Use an integer."),
        ("method", "target_modules", [], "is empty; it needs at least 1 entry Add an entry."),
        ("training", "learning_rate", 5, "is 5; it must be at most 1 Use 1 or less."),
        ("training", "epochs", 2, "is 2, set together with max_steps 50 Set max_steps or epochs, not both."),
    ],
)
def test_a_refusal_says_what_the_value_is_and_what_to_use(
    section: str, field: str, value: object, sentence: str
) -> None:
    config = {**CONFIG, section: {**CONFIG[section], field: value}}
    with pytest.raises(ValidationError) as refused:
        RunConfig.model_validate(config)
    (problem,) = bad_input(refused.value).problems
    assert (problem.field, f"{problem.message} {problem.next_step}") == (f"{section}.{field}", sentence)
