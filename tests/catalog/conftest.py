"""The script that writes architectures.json, which builds every kind of model small."""

from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def script() -> ModuleType:
    spec = util.spec_from_file_location("model_architectures", ROOT / "scripts" / "model_architectures.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
