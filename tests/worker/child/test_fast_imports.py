import gc
import importlib
import sys

import pytest

from rankscope_worker.child.fast_imports import fast_imports


@pytest.fixture(autouse=True)
def nothing_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("datasets", "scipy", "bitsandbytes"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def hidden(*names: str) -> set[str]:
    """The modules that a library can't find when it looks for an optional one."""
    return {name for name in names if importlib.util.find_spec(name) is None}


def test_libraries_that_the_run_does_not_need_are_hidden() -> None:
    with fast_imports(with_quantisation=False):
        assert not gc.isenabled()
        assert hidden("datasets", "scipy", "bitsandbytes") == {"datasets", "scipy", "bitsandbytes"}
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("scipy")
    assert gc.isenabled()
    # A task's metrics import scipy afterwards.
    assert hidden("datasets", "scipy", "bitsandbytes") == {"datasets", "bitsandbytes"}


def test_a_library_that_is_there_already_stays() -> None:
    with fast_imports():
        assert hidden("json") == set()
        sys.modules["scipy"] = json = sys.modules["json"]
        with fast_imports():
            assert sys.modules["scipy"] is json
    assert hidden("bitsandbytes") == set()
