"""Only a method's own files know its name: all other code asks the method.

A name that turns up here is a question that `rankscope.contract.methods.base.Method`, or `RankMethod` in the worker, should
answer instead.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankscope.contract.methods import METHODS

ROOT = Path(__file__).parents[2]
OWN_FILES = (
    "backend/rankscope/contract/methods/",
    "worker/dynamic_rank/",  # the library: the methods themselves, and dynamic_rank around them
)
PERMITTED = {
    "backend/rankscope/contract/presets.py": "ready-made configurations",
    "backend/rankscope/contract/paper_presets.py": "ready-made configurations",
    "backend/rankscope/contract/experiments/design.py": "the role of a variant, which is not a method",
    "backend/rankscope/store/migrations/": "what an earlier version stored",
}
NAMES = set(METHODS)
CLASSES = {kind.__name__ for kind in METHODS.values()}
SOURCES = [
    path
    for folder in ("backend/rankscope", "worker/rankscope_worker")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not str(path.relative_to(ROOT)).startswith((*OWN_FILES, *PERMITTED))
]
PAGE = [
    path
    for pattern in ("*.ts", "*.tsx")
    for path in sorted((ROOT / "frontend/src").rglob(pattern))
    if not path.name.endswith((".gen.d.ts", ".test.ts", ".test.tsx", ".fixture.ts"))
]


def named(source: str) -> Iterator[str]:
    """Every method name or method class that the code uses, with its line.

    `find_spec("dynamic_rank")` asks for the library's package, as `import dynamic_rank` does, and not for the method.
    """
    tree = ast.parse(source)
    packages = {
        argument
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "find_spec"
        for argument in node.args
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text in NAMES and node not in packages:
                yield f"line {node.lineno}: {text!r}"
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in CLASSES:
                yield f"line {node.lineno}: {name}"
            case ast.alias(name=name) if name.rpartition(".")[2] in CLASSES:
                yield f"line {node.lineno}: {name}"
            case ast.ImportFrom(module=str(module)) if module.startswith("dynamic_rank.methods."):
                yield f"line {node.lineno}: {module}"


def test_the_search_finds_every_way_to_know_a_method() -> None:
    source = (
        'if run.method == "lora": ...\n'
        "isinstance(method, methods.EvaMethod)\n"
        "from rankscope.contract.methods import FullMethod\n"
        "from dynamic_rank.methods.eva import Eva\n"
        'import dynamic_rank\nx = "a dynamic_rank run"\nfind_spec("dynamic_rank")\n'
    )
    assert sorted(named(source)) == [
        "line 1: 'lora'",
        "line 2: EvaMethod",
        "line 3: FullMethod",
        "line 4: dynamic_rank.methods.eva",
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_knows_a_method_by_name(path: Path) -> None:
    assert list(named(path.read_text(encoding="utf-8"))) == []


def test_the_page_knows_no_method_by_name() -> None:
    quoted = re.compile(rf"""["'`=]({"|".join(NAMES)})["'`&]""")  # also as a parameter of an address
    found = [
        f"{path.relative_to(ROOT)}: {hit[0]}"
        for path in PAGE
        for hit in quoted.finditer(path.read_text(encoding="utf-8"))
    ]
    assert PAGE
    assert found == []


def test_permitted_files_exist() -> None:
    assert all((ROOT / path).exists() for path in (*OWN_FILES, *PERMITTED))
