"""`from dynamic_rank import ...`: every public name exists, and only those that need torch import it."""

import subprocess
import sys

import pytest

import dynamic_rank


@pytest.mark.parametrize("name", dynamic_rank.__all__)
def test_public_name_is_importable(name: str) -> None:
    value = getattr(dynamic_rank, name)
    assert value.__name__ == name
    assert name in dir(dynamic_rank)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dynamic_rank' has no attribute 'wrapp'"):
        dynamic_rank.wrapp  # noqa: B018


def test_star_import_has_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from dynamic_rank import *", names)
    assert set(dynamic_rank.__all__) <= names.keys()


def test_config_and_schedule_need_no_torch() -> None:
    script = (
        "import sys; from dynamic_rank import BudgetSchedule, DynamicRankConfig, RankWarning;"
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
