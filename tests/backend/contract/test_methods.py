"""The methods' descriptions of themselves, and the agreement of their two halves."""

from dataclasses import fields
from typing import Any, get_args

import httpx
import pytest

from dynamic_rank.methods import METHODS as LIBRARY
from rankscope.contract.config import RunConfig
from rankscope.contract.methods import METHODS, MethodName
from rankscope.contract.presets import presets

DEMO: dict[str, Any] = next(one for one in presets() if one.key == "demo").config.model_dump(mode="json")
STEERED = [{"step": 50, "action": "hold"}]


@pytest.fixture
def database_kind() -> str:
    return "sqlite"  # nothing here is stored


def test_every_method_is_defined_in_the_contract_and_in_the_library() -> None:
    assert set(METHODS) == set(LIBRARY) == set(get_args(MethodName))


@pytest.mark.parametrize("name", METHODS)
def test_contract_and_library_agree(name: str) -> None:
    kind, (method, options) = METHODS[name], LIBRARY[name]
    known = {field.name for field in fields(options)}
    assert set(kind.model_fields) - {"name"} <= known
    assert kind.fork_fields <= set(kind.model_fields)
    assert kind.fork_fields_after_pruning <= kind.fork_fields
    # What a checkpoint of the library refuses to change, no fork may change.
    assert kind.fork_fields == set(kind.model_fields) & getattr(method, "schedule_options", frozenset())


@pytest.mark.parametrize("name", METHODS)
def test_only_methods_that_can_be_steered_take_steering(name: str) -> None:
    needed = {"rank_pattern": {"encoder.layer.0.query": 4}}
    options = {"name": name} | {key: value for key, value in needed.items() if key in METHODS[name].model_fields}
    config = DEMO | {"method": options, "training": DEMO["training"] | {"max_steps": 2000}}
    assert RunConfig.model_validate(config).steering == []
    if METHODS[name].can_be_steered:
        assert RunConfig.model_validate(config | {"steering": STEERED}).steering[0].action == "hold"
    else:
        with pytest.raises(ValueError, match="can't be steered"):
            RunConfig.model_validate(config | {"steering": STEERED})


def test_the_api_describes_every_method_in_the_order_of_the_form(api: httpx.Client) -> None:
    items = api.get("/api/v1/methods").json()["items"]
    assert [item["name"] for item in items] == list(METHODS)
    assert len({item["label"] for item in items}) == len(items)
    for item in items:
        kind = METHODS[item["name"]]
        assert item["title"] == kind.model_config.get("title")
        assert item["prunes"] == (item["rank_changes"] in ("on_schedule", "once", "at_any_step"))
        assert item["has_ranks"] == (item["artifact"] == "adapter")
        assert item["budget_field"] is None or item["budget_field"] in kind.model_fields
