"""CONTRIBUTING.md names existing files, and only a few for each change."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGES = dict(re.findall(r"^### (.+?)\n\n((?:- .*\n)+)", GUIDE, flags=re.MULTILINE))
MAX_FILES = 5


def paths(text: str) -> list[str]:
    """Every path in backticks, from the repository's root or from `tests`."""
    return re.findall(r"`((?:\w[\w.-]*/)+[\w.-]+)`", text)


def test_at_least_ten_everyday_changes_are_described() -> None:
    assert len(CHANGES) >= 10
    assert len(CHANGES) == GUIDE.count("\n### ")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_touches_few_files(change: str) -> None:
    lines = CHANGES[change].splitlines()
    assert 1 <= len(lines) <= MAX_FILES
    assert all(re.match(r"- `[\w/.-]+`[:,]", line) for line in lines), "each line begins with the file"


@pytest.mark.parametrize("path", sorted(set(paths(GUIDE))))
def test_a_file_named_in_the_guide_exists(path: str) -> None:
    # A file that doesn't exist yet has an existing folder: the part before the first placeholder.
    known = re.split(r"[\w.-]*(?:NAME|NUMBER)", path)[0]
    assert (ROOT / known).exists() or (ROOT / "tests" / known).exists(), known
