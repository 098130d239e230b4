"""docs/architecture.md draws every folder, and only existing ones."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRAWN = re.search(
    r"## Folders\n\n```\n(.*?)```", (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.DOTALL
)
NOT_CODE = {"static", "versions", "__pycache__"}


def drawn_folders() -> list[str]:
    """Paths of the tree from the repository's root; two spaces are one level."""
    assert DRAWN is not None
    parents: list[str] = []
    paths = []
    for line in DRAWN[1].splitlines():
        name, _, what = line.strip().partition("/ ")
        depth = (len(line) - len(line.lstrip())) // 2
        parents = [*parents[:depth], name.strip("/")]
        paths.append("/".join(parents))
        assert what.strip() or name == "worker/", f"{name} has no line that says what it is"
    return paths


def test_every_folder_that_is_drawn_exists() -> None:
    missing = [path for path in drawn_folders() if not (ROOT / path).is_dir()]
    assert missing == []


def test_every_package_is_drawn() -> None:
    packages = {
        str(path.parent.relative_to(ROOT))
        for root in ("backend/rankscope", "worker/rankscope_worker", "worker/dynamic_rank")
        for path in (ROOT / root).rglob("*.py")
        if not NOT_CODE & set(path.parts)
    }
    page = {
        str(path.relative_to(ROOT))
        for folder in ("frontend/src", "frontend/src/features")
        for path in (ROOT / folder).iterdir()
        if path.is_dir()
    }
    assert (packages | page) - set(drawn_folders()) == set()
