"""The scripts that the built page loads before it shows something. Needs the built page: `make test` builds it."""

import gzip
import json
from pathlib import Path

import pytest

import rankscope

STATIC = Path(rankscope.__file__).parent / "static"
LIMIT = 250_000
"""Bytes on the wire; `make bench-live` measures the same in a browser."""
HEAD = 550
"""The head of each response."""


# Each page with the parts that it loads separately.
@pytest.mark.parametrize(
    "parts",
    [
        ["features/runs/RunsPage.tsx", "features/runs/views/ColumnChooser.tsx", "features/runs/views/ViewsMenu.tsx"],
        ["features/run/RunPage.tsx"],
    ],
    ids=["runs", "run"],
)
def test_scripts_of_a_first_page_are_below_the_limit(parts: list[str]) -> None:
    chunks = json.loads((STATIC / ".vite" / "manifest.json").read_text())
    needed: set[str] = set()
    left = ["index.html", *(f"src/{part}" for part in parts)]
    while left:
        if (name := left.pop()) not in needed:
            needed.add(name)
            left += chunks[name].get("imports", [])
    sizes = {name: len(gzip.compress((STATIC / chunks[name]["file"]).read_bytes(), 9)) + HEAD for name in needed}
    largest = ", ".join(f"{name} {sizes[name] // 1000} kB" for name in sorted(sizes, key=lambda one: -sizes[one])[:5])
    assert sum(sizes.values()) <= LIMIT, f"Load parts of it on first use (`lazyPart`). The largest: {largest}."
