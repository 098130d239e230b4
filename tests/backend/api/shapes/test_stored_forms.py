"""Data stored by another version is returned unchanged, with keys that this one lacks and without those it added."""

from typing import get_type_hints

from pydantic import TypeAdapter

from rankscope.api.shapes.base import WorkerShape
from rankscope.api.shapes.runs import RunDetail


def test_environment_keeps_unknown_keys_and_gets_no_others() -> None:
    stored = {"rankscope": "0.1.0", "train_rows": 103, "trained_with": {"torch": "2"}, "from_a_later_version": [1]}
    adapter = TypeAdapter(get_type_hints(RunDetail)["environment"])
    assert adapter.dump_python(adapter.validate_python(stored)) == stored
    assert adapter.dump_python(adapter.validate_python({})) == {}


def test_gpus_keep_unknown_keys_and_get_no_others() -> None:
    stored = {"index": 0, "name": "H100", "memory_bytes": 8, "free_bytes": 4, "from_a_later_version": True}
    adapter = TypeAdapter(get_type_hints(WorkerShape)["gpus"])
    assert adapter.dump_python(adapter.validate_python([stored])) == [stored]
