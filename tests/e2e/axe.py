"""Runs axe-core on a page: accessibility problems for users of a screen reader or without a mouse."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_SCRIPT = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
_BAD = ("serious", "critical")


def serious_issues(page: Page) -> list[str]:
    """The serious rule violations of the page, each with the elements that cause it."""
    page.evaluate(_SCRIPT.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate(
        "() => axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
    )
    return [
        f"{issue['id']}: {issue['help']} at {[node['html'][:200] for node in issue['nodes'][:4]]}"
        for issue in found["violations"]
        if issue["impact"] in _BAD
    ]
