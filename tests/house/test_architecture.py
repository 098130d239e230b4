"""The rules of the code base: which modules may import which, and no torch in the server."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {"rankscope": ROOT / "backend", "rankscope_worker": ROOT / "worker", "dynamic_rank": ROOT / "worker"}
STANDARD_LIBRARY = sys.stdlib_module_names

# A room is a folder, or a module at the top of a package. Room -> rooms that its modules may import, in addition to
# their own. A room that is not listed uses the entry of its nearest listed parent folder.
_FOUNDATION = {"rankscope.contract", "dynamic_rank.schedule", "rankscope.settings", "rankscope.data_folder"}
_STORE = {f"rankscope.store{room}" for room in ("", ".database", ".experiments", ".history", ".listing", ".sweeps")}
_CATALOG = {"rankscope.catalog", "rankscope.catalog.data", "rankscope.catalog.imported", "rankscope.catalog.models"}
_READ_BY_WORKERS = {*_FOUNDATION, *_STORE, *_CATALOG, "rankscope.training_stack"}
_OF_HOST_AND_CHILD = {
    f"rankscope_worker.{name}" for name in ("database_retries", "exit_report", "installation", "nvml", "steer_requests")
}
# Each room of dynamic_rank may import those before it.
_RANK_LIBRARY = [
    f"dynamic_rank.{name}"
    for name in ("warning", "schedule", "adapter", "allocation", "saving", "wrapping", "training", "methods")
]
ALLOWED: dict[str, set[str]] = {
    "rankscope.contract": {"dynamic_rank.schedule"},
    "rankscope.settings": {"rankscope.contract"},
    "rankscope.data_folder": {"rankscope.contract", "rankscope.settings"},
    "rankscope.training_stack": {"rankscope.contract"},
    "rankscope.catalog.data": {"rankscope.contract"},
    "rankscope.catalog.models": {"rankscope.contract"},
    "rankscope.catalog.imported": {"rankscope.contract", "rankscope.catalog.data"},
    "rankscope.catalog": {
        "rankscope.contract",
        "rankscope.settings",
        "rankscope.catalog.data",
        "rankscope.catalog.imported",
        "rankscope.catalog.models",
    },
    "rankscope.store.database": {"rankscope.contract"},
    "rankscope.store.history": {"rankscope.contract", "rankscope.store.database"},
    "rankscope.store.listing": {"rankscope.contract", "rankscope.store.database"},
    "rankscope.store": {"rankscope.contract", "rankscope.store.database", "rankscope.store.history"},
    "rankscope.store.experiments": {"rankscope.contract", "rankscope.store", "rankscope.store.database"},
    "rankscope.store.sweeps": {"rankscope.contract", "rankscope.store", "rankscope.store.database"},
    "rankscope.search": {"rankscope.contract", "rankscope.table_text"},
    "rankscope.experiments.statistics": set(),
    "rankscope.experiments.importing": {"rankscope.contract"},
    "rankscope.experiments": {"rankscope.contract", "rankscope.experiments.statistics", "rankscope.table_text"},
    "rankscope.table_text": set(),
    "rankscope.launch": {*_FOUNDATION, *_STORE, *_CATALOG},
    "rankscope.launch.experiments": {
        *_FOUNDATION,
        *_STORE,
        *_CATALOG,
        "rankscope.launch",
        "rankscope.exports",
        "dynamic_rank.schedule",
    },
    "rankscope.launch.sweeps": {*_FOUNDATION, *_STORE, *_CATALOG, "rankscope.launch", "rankscope.search"},
    "rankscope.health": {"rankscope.contract", "dynamic_rank.schedule", *_STORE, "rankscope.launch"},
    "rankscope.comparison": {"rankscope.contract", *_STORE, "rankscope.launch"},
    "rankscope.bundles": {"rankscope.contract", "rankscope.settings", *_STORE},
    "rankscope.exports": {*_FOUNDATION, *_STORE, *_CATALOG, "rankscope.yaml_text"},
    "rankscope.api.shapes": {
        *_FOUNDATION,
        *_STORE,
        *_CATALOG,
        "rankscope.launch",
        "rankscope.launch.experiments",
        "rankscope.launch.sweeps",
        "rankscope.search",
        "rankscope.health",
    },
    "rankscope.api.guard": {"rankscope.contract", "rankscope.settings", "rankscope.api.shapes"},
    "rankscope.api.streaming": {"rankscope.contract", *_STORE, "rankscope.api.shapes"},
    "rankscope.api": {
        *_FOUNDATION,
        *_STORE,
        *_CATALOG,
        "rankscope.experiments",
        "rankscope.launch",
        "rankscope.launch.sweeps",
        "rankscope.search",
        "rankscope.api.shapes",
        "rankscope.api.guard",
        "rankscope.api.streaming",
    },
    "rankscope.api.routes": {
        *_FOUNDATION,
        *_STORE,
        *_CATALOG,
        "rankscope.launch",
        "rankscope.health",
        "rankscope.launch.experiments",
        "rankscope.launch.sweeps",
        "rankscope.search",
        "rankscope.comparison",
        "rankscope.bundles",
        "rankscope.exports",
        "rankscope.experiments",
        "rankscope.experiments.importing",
        "rankscope.api",
        "rankscope.api.shapes",
        "rankscope.api.guard",
        "rankscope.api.streaming",
        "rankscope.table_text",
    },
    "rankscope.backup": {*_FOUNDATION, "rankscope.store", "rankscope.store.database"},
    "rankscope.cli": {
        *_FOUNDATION,
        "rankscope.store.database",
        "rankscope.exports",
        *(f"rankscope.{name}" for name in ("up", "serve", "backup", "client", "yaml_text", "table_text")),
    },
    # Start-up puts everything together.
    "rankscope": {"rankscope"},
    # `python -m rankscope_worker` starts the host.
    "rankscope_worker.__main__": {"rankscope_worker.host"},
    "rankscope_worker": _READ_BY_WORKERS,
    "rankscope_worker.host": {*_READ_BY_WORKERS, *_OF_HOST_AND_CHILD},
    "rankscope_worker.child.loading": {"rankscope.contract", *_CATALOG, "dynamic_rank"},
    "rankscope_worker.child.answers": {"rankscope.contract", "rankscope_worker.child.loading"},
    "rankscope_worker.child.tasks": {
        "rankscope.contract",
        *_CATALOG,
        "rankscope_worker.child.answers",
        "rankscope_worker.child.loading",
    },
    "rankscope_worker.child.hub": {
        "rankscope.contract",
        "rankscope.settings",
        *_CATALOG,
        "rankscope_worker.child.loading",
    },
    "rankscope_worker.child.importing": {"rankscope.contract", *_CATALOG},
    "rankscope_worker.child": {
        *_READ_BY_WORKERS,
        *_OF_HOST_AND_CHILD,
        "rankscope_worker.child.answers",
        "rankscope_worker.child.loading",
        "rankscope_worker.child.tasks",
        "dynamic_rank",
    },
    "rankscope_worker.child.jobs": {
        *_READ_BY_WORKERS,
        *_OF_HOST_AND_CHILD,
        "rankscope_worker.child",
        "rankscope_worker.child.hub",
        "rankscope_worker.child.importing",
        "rankscope_worker.child.loading",
        "rankscope_worker.child.tasks",
    },
    "dynamic_rank": {"dynamic_rank"},
    **{part: set(_RANK_LIBRARY[:place]) for place, part in enumerate(_RANK_LIBRARY)},
}
# These may import all of their subfolders.
_WHOLE = {"rankscope", "dynamic_rank"}
MAX_MODULES = 20
# Modules of the worker's supervising process, and at the top of the package those that both processes use: they must
# start fast and survive whatever kills a child.
SUPERVISING = sorted(
    ".".join(path.relative_to(ROOT / "worker").with_suffix("").parts)
    for folder in ("rankscope_worker", "rankscope_worker/host")
    for path in (ROOT / "worker" / folder).glob("*.py")
    if path.stem not in ("__init__", "__main__")
)
HEAVY = {"torch", "transformers", "peft", "datasets", "accelerate", "scipy", "optuna"}


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in SOURCES.items():
        for path in sorted((folder / package).rglob("*.py")):
            if "migrations" not in path.parts and "static" not in path.parts:
                parts = path.relative_to(folder).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> set[str]:
    """Every module name that a file imports, at the top or inside a function; relative ones in full."""
    folder = next(folder for package, folder in SOURCES.items() if path.is_relative_to(folder / package))
    parents = path.relative_to(folder).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [node.module])])
                if node.level
                else node.module
            )
            found |= {str(base), *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def is_within(module: str, prefixes: set[str]) -> bool:
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes)


MODULES = dict(modules())


def room_of(name: str) -> str:
    """The folder of one of our modules, or the module at the top of a package; `name` may be inside the module."""
    while name not in MODULES:
        name = name.rpartition(".")[0]
    if is_within(name, {"rankscope.contract"}):
        return "rankscope.contract"  # one configuration, which is made of its methods: its subfolders are not rooms
    if MODULES[name].name == "__init__.py":
        return name
    folder = name.rpartition(".")[0]
    return name if folder in SOURCES else folder


def rooms_imported(module: str, path: Path) -> set[str]:
    """Rooms that a module imports from, other than its own."""
    ours = [name for name in imports(path) if is_within(name, set(SOURCES))]
    # `from rankscope.store import runs` also names the package; only the imported names count.
    taken = {name for name in ours if not any(other.startswith(f"{name}.") for other in ours)}
    return {room_of(name) for name in taken} - {room_of(module), "rankscope", "rankscope_worker"}


@pytest.mark.parametrize(("module", "path"), [pytest.param(*entry, id=entry[0]) for entry in MODULES.items()])
def test_modules_import_only_what_their_folder_may_import(module: str, path: Path) -> None:
    row = max((name for name in ALLOWED if is_within(room_of(module), {name})), key=len)
    allowed = ALLOWED[row]
    foreign = {
        room for room in rooms_imported(module, path) if room not in allowed and not is_within(room, allowed & _WHOLE)
    }
    assert not foreign, f"{module} must not import {sorted(foreign)}"


@pytest.mark.parametrize("package", SOURCES)
def test_no_two_folders_import_each_other(package: str) -> None:
    arrows: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        if is_within(module, {package}):
            arrows.setdefault(room_of(module), set()).update(rooms_imported(module, path))
    try:
        tuple(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        pytest.fail(f"These import each other in a circle: {' -> '.join(error.args[1])}")


def test_no_folder_has_too_many_modules() -> None:
    ours = [*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    counted = Counter(path.parent for path in ours if path.name != "__init__.py")
    crowded = {str(folder.relative_to(ROOT)): n for folder, n in counted.items() if n > MAX_MODULES}
    assert not crowded, f"more than {MAX_MODULES} modules: {crowded}"


def writes(path: Path) -> Iterator[ast.With]:
    """Every `with writing(...)` block of a file."""
    text = path.read_text(encoding="utf-8")
    if "writing(" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.With) and any("writing(" in ast.unparse(item.context_expr) for item in node.items):
            yield node


def calls_in_a_write(block: ast.With) -> Iterator[str]:
    """The calls in the block, as dotted names, except the errors that it raises."""
    raised = {id(node.exc) for node in ast.walk(block) if isinstance(node, ast.Raise)}
    for statement in block.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and id(node) not in raised:
                yield ast.unparse(node.func)


@pytest.mark.parametrize(
    ("module", "path"),
    [
        pytest.param(module, path, id=module)
        for module, path in modules()
        if any(writes(path)) and not is_within(module, {"rankscope.store", "rankscope.backup"})
    ],
)
def test_only_functions_of_the_store_are_called_within_a_write_transaction(module: str, path: Path) -> None:
    """It holds the database's only write lock, so it must not build responses, read files, or call other services."""
    names = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and is_within(str(node.module), {"rankscope.store"})
        for alias in node.names
    }
    allowed = names | {"session", "run", "time", "type", "set", "list", "dict", "len"}
    called = {name for block in writes(path) for name in calls_in_a_write(block)}
    foreign = {name for name in called if name.split(".")[0] not in allowed}
    assert not foreign, f"{module} calls {sorted(foreign)} within `with writing(...)`; do it before or after"


def test_contract_imports_only_the_standard_library_pydantic_sqlmodel_and_the_schedule() -> None:
    allowed = {
        "rankscope",
        "dynamic_rank",
        "pydantic",
        "pydantic_core",
        "typing_extensions",  # pydantic reads its TypedDict alone before Python 3.12
        "sqlmodel",
        "sqlalchemy",
    }  # sqlmodel's own columns are sqlalchemy's
    for module, path in modules():
        if module.startswith("rankscope.contract"):
            tops = {name.split(".")[0] for name in imports(path)}
            assert tops <= allowed | STANDARD_LIBRARY, module


def test_importing_does_not_load_torch() -> None:
    """One process imports all modules in turn, so the first line with a package names the module that loads it."""
    names = ["rankscope.app", "rankscope.cli", "rankscope.up", "rankscope_worker.child.train", *SUPERVISING]
    script = f"""if True:
        import importlib, sys
        for name in {names!r}:
            importlib.import_module(name)
            print(name, *sorted({HEAVY!r} & set(sys.modules)))"""
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.splitlines() == names


def test_importing_the_server_loads_only_the_schedule_of_the_training_code() -> None:
    script = (
        "import sys, rankscope.app, rankscope.cli, rankscope.up;"
        "print(*[name for name in sys.modules if name.split('.')[0] in ('rankscope_worker', 'dynamic_rank')])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = set(loaded.stdout.split())
    assert "dynamic_rank.schedule.budget" in names
    assert {name for name in names if not is_within(name, {"dynamic_rank.schedule"})} == {"dynamic_rank"}


def test_compose_file_fits_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yml",
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
