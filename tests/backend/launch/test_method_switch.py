"""Choosing another method for a configuration keeps the comparison fair, and reports what it changed."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.contract.config import RunConfig
from rankscope.contract.methods import METHODS
from rankscope.contract.presets import presets
from rankscope.launch.method_switch import switch_method

PRESETS = {preset.key: preset.config for preset in presets() if preset.group is None}
DEMO: dict[str, Any] = PRESETS["demo"].model_dump(mode="json")
# Control needs the ranks of a finished run, which no switch can invent.
NAMES = [name for name in METHODS if name != "control"]


def method_of(config: dict[str, object]) -> dict[str, object]:
    method = config["method"]
    assert isinstance(method, dict)
    return method


def test_every_preset_of_the_demo_has_its_methods_proposed_learning_rate() -> None:
    demo_presets = [config for key, config in PRESETS.items() if key != "paper"]
    for config in demo_presets:
        method = config.method
        assert config.training.learning_rate == method.proposed_learning_rate(method.model_dump()), method.name


@pytest.mark.parametrize("name", NAMES)
def test_from_the_demo_every_method_validates_at_the_demos_budget(name: str) -> None:
    switched = switch_method(DEMO, name)
    config = RunConfig.model_validate(switched.config)
    kind = METHODS[name]
    assert config.method.name == name
    assert config.training.learning_rate == kind.proposed_learning_rate(config.method.model_dump())
    if kind.has_ranks:
        assert kind.mean_budget(config.method.model_dump()) == 4
        assert switched.budget == 4


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_budget_survives_a_detour_over_any_method(first: str, second: str) -> None:
    away = switch_method(DEMO, first)
    there = switch_method(away.config, second, budget=away.budget)
    if METHODS[second].has_ranks:
        assert METHODS[second].mean_budget(method_of(there.config)) == 4
    back = switch_method(there.config, "dynamic_rank", earlier=DEMO["method"], budget=there.budget)
    assert back.config["method"] == DEMO["method"]
    assert back.config["training"] == DEMO["training"]


def test_a_changed_budget_is_kept_and_the_other_options_are_restored() -> None:
    edited = DEMO | {"method": DEMO["method"] | {"beta": 0.5}}
    lora = switch_method(edited, "lora").config
    lora["method"] = method_of(lora) | {"rank": 6}
    back = switch_method(lora, "dynamic_rank", earlier=edited["method"])
    assert method_of(back.config)["target_rank"] == 6
    assert method_of(back.config)["beta"] == 0.5


def test_changes_are_reported_with_both_values() -> None:
    switched = switch_method(DEMO, "lora")
    assert [(change.field, change.before, change.after) for change in switched.changes] == [
        ("training.learning_rate", 1e-2, 3e-3)
    ]
    assert "LoRA" in switched.changes[0].reason


def test_an_interval_that_does_not_fit_the_steps_is_shortened_and_reported() -> None:
    lora = PRESETS["lora"].model_dump(mode="json")  # 200 steps, and LoRA has no interval to keep
    switched = switch_method(lora, "adalora")
    assert RunConfig.model_validate(switched.config).method.name == "adalora"
    change = switched.changes[0]
    assert (change.field, change.before, change.after) == ("method.prune_interval", 100, 10)


def test_epochs_need_the_steps_of_the_plan() -> None:
    lora = PRESETS["lora"].model_dump(mode="json")
    lora["training"] |= {"max_steps": None, "epochs": 1}
    assert method_of(switch_method(lora, "adalora", total_steps=100).config)["prune_interval"] == 5
    assert method_of(switch_method(lora, "adalora").config)["prune_interval"] == 100


def test_steering_is_removed_for_a_method_that_cannot_be_steered() -> None:
    steered = DEMO | {"steering": [{"step": 50, "action": "hold", "target_rank": None}]}
    switched = switch_method(steered, "lora")
    assert switched.config["steering"] == []
    assert "steering" in [change.field for change in switched.changes]
    RunConfig.model_validate(switched.config)


def test_the_same_method_changes_nothing() -> None:
    assert switch_method(DEMO, "dynamic_rank").changes == []
    assert switch_method(DEMO, "dynamic_rank").config == DEMO


@pytest.fixture
def database_kind() -> str:
    return "sqlite"  # nothing here is stored


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OPTION_NAMES = sorted({field for kind in METHODS.values() for field in kind.model_fields})


@given(
    method=st.dictionaries(st.sampled_from(OPTION_NAMES), JSON | st.sampled_from(sorted(METHODS)), max_size=6) | JSON,
    training=st.dictionaries(st.sampled_from(["max_steps", "epochs", "learning_rate"]), JSON) | JSON,
    steering=JSON,
    name=st.sampled_from(sorted(METHODS)),
)
def test_a_draft_that_is_still_wrong_can_be_switched(method: Any, training: Any, steering: Any, name: str) -> None:
    draft = {"method": method, "training": training, "steering": steering, "data": {"id": "x"}}
    switched = switch_method(draft, name)
    assert method_of(switched.config)["name"] == name
    assert switched.config["data"] == {"id": "x"}


def test_the_api_returns_the_same(api: httpx.Client) -> None:
    answer = api.post("/api/v1/runs/switch-method", json={"config": DEMO, "method": "full"}).json()
    assert answer["config"]["training"]["learning_rate"] == 5e-5
    assert answer["budget"] == 4
    back = api.post(
        "/api/v1/runs/switch-method",
        json={"config": answer["config"], "method": "lora", "budget": answer["budget"]},
    ).json()
    assert back["config"]["method"]["rank"] == 4


def test_the_api_names_an_unknown_method(api: httpx.Client) -> None:
    answer = api.post("/api/v1/runs/switch-method", json={"config": DEMO, "method": "qlora"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "method"
