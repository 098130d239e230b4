"""pyproject.toml declares every package that the code imports, even one that another package also installs."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"rankscope", "rankscope_worker", "dynamic_rank"}
NEVER_LOADED = {"_typeshed"}  # part of the type checker


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """Distributions of the base install and of these extras."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines: list[str] = project["dependencies"] + [
        line for extra in extras for line in project["optional-dependencies"][extra]
    ]
    return {normalised(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}


def imported(files: Iterable[Path]) -> dict[str, Path]:
    """Top-level module -> a file that imports it, at the top or inside a function."""
    found: dict[str, Path] = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module)]
            else:
                continue
            found |= {name.split(".")[0]: path.relative_to(ROOT) for name in names}
    return {name: path for name, path in found.items() if name not in OURS | NEVER_LOADED | sys.stdlib_module_names}


# A worker starts without the training stack, to report that it is missing: its supervising modules need only the base.
SERVER = ["backend/**/*.py", "worker/rankscope_worker/*.py", "worker/rankscope_worker/host/*.py"]


@pytest.mark.parametrize(
    ("patterns", "extras"), [(SERVER, []), (["worker/**/*.py"], ["worker"])], ids=["base", "worker"]
)
def test_every_imported_package_is_declared(patterns: list[str], extras: list[str]) -> None:
    allowed, distributions = declared(*extras), packages_distributions()
    modules = imported(path for pattern in patterns for path in ROOT.glob(pattern))
    assert len(modules) > 5, "found no imports: this test looks in the wrong place"
    missing = {
        name: str(path)
        for name, path in modules.items()
        if not allowed & {normalised(each) for each in distributions.get(name, [name])}
    }
    assert not missing, f"imported, but not declared in pyproject.toml: {missing}"
