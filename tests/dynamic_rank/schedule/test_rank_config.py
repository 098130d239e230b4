from typing import Any

import pytest

from dynamic_rank import DynamicRankConfig, create_method


def test_initial_rank_defaults_to_one_and_a_half_times_the_target_rounded_up() -> None:
    assert [DynamicRankConfig(target_rank=rank).initial_rank for rank in (1, 2, 3, 8)] == [2, 3, 5, 12]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_rank": 0}, "target_rank=0 .* at least 1"),
        ({"target_rank": 2.5}, "target_rank=2.5 must be a whole number"),
        ({"target_rank": 8, "initial_rank": 4}, "initial_rank=4 is below target_rank=8; set"),
        ({"prune_interval": 0}, "prune_interval=0"),
        ({"lora_alpha": 0}, "lora_alpha=0 must be a number above 0"),
        ({"lora_dropout": 1.0}, "lora_dropout=1.0 must be a number at least 0 and below 1"),
        ({"beta": 1.0}, "beta=1.0"),
        ({"eps": 0}, "eps=0"),
        ({"eta": -0.1}, "eta=-0.1"),
        ({"eta": float("nan")}, "eta=nan"),
        ({"warmup_ratio": 0.6}, "warmup_ratio=0.6 is not below prune_end_ratio=0.5"),
        ({"prune_end_ratio": 1.5}, "prune_end_ratio=1.5"),
        ({"score": "best"}, "score='best' is unknown; choose one of norm_share, norm"),
        ({"init": "zeros"}, "init='zeros' is unknown"),
        ({"schedule": "cosine"}, "schedule='cosine' is unknown"),
        ({"budget_unit": "bytes"}, "budget_unit='bytes' is unknown"),
        ({"compact": "yes"}, "compact='yes'"),
        ({"target_modules": []}, "target_modules=\\[\\] has no module names"),
        ({"c_lr_scale": 0}, "c_lr_scale=0"),
        ({"seed": -1}, "seed=-1"),
        ({"selection": "threshold", "budget_unit": "parameters"}, "does not support budget_unit='parameters'"),
    ],
)
def test_invalid_config_is_refused_with_field_and_value(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DynamicRankConfig(**changes)


def test_a_window_shorter_than_one_interval_is_refused_with_the_fix() -> None:
    config = DynamicRankConfig(prune_interval=100)
    with pytest.raises(ValueError, match="Set prune_interval to at most 53"):
        config.check_schedule(150)
    config.check_schedule(300)


def test_recommended_number_of_steps_is_enough() -> None:
    config = DynamicRankConfig(prune_interval=100)
    with pytest.raises(ValueError, match="for about") as refusal:
        config.check_schedule(10)
    advised = int(str(refusal.value).split("for about ")[1].split()[0])
    config.check_schedule(advised)


def test_config_round_trips_through_a_dict() -> None:
    config = DynamicRankConfig(target_rank=3, target_modules=["query"], score="norm")
    assert DynamicRankConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("dora", {}, "Unknown method 'dora'; choose one of dynamic_rank, lora, adalora"),
        ("dynamic_rank", {"rank": 3}, "Unknown option 'rank' of dynamic_rank"),
        ("lora", {"target_rank": 3}, "Unknown option 'target_rank' of lora; known options are lora_alpha"),
        ("lora", {"rank": 0}, "rank=0"),
        ("lora", {"lora_alpha": -1}, "lora_alpha=-1"),
        ("full", {"rank": 1}, "Unknown option 'rank' of full"),
        ("adalora", {"score": "norm"}, "Unknown option 'score' of adalora; known options are"),
        ("adalora", {"beta2": 1.0}, "beta2=1.0"),
        ("eva", {"rho": 0.5}, "rho=0.5 must be a number at least 1"),
        ("lora_shrink", {"target_rank": 4, "initial_rank": 2}, "initial_rank=2 is below target_rank=4"),
        ("lora_shrink", {"allocation": "best"}, "allocation='best' is unknown; choose one of uniform, global"),
        ("sora", {"sparse_lambda": 0}, "sparse_lambda=0"),
        ("control", {}, "Invalid options of control: .*rank_pattern"),
        ("control", {"rank_pattern": {}}, "has no modules"),
        ("control", {"rank_pattern": {"a": 0}}, "rank 0 for every module"),
        ("control", {"rank_pattern": {"a": -1}}, r"rank_pattern\['a'\]=-1"),
        ("control", {"rank_pattern": {"a": 1}, "target_modules": ["a"]}, "remove target_modules"),
    ],
)
def test_create_method_refuses_unknown_names_and_options(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create_method(name, options)
