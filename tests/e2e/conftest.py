"""A real Chromium, and a page that fails its test on any console error."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

PATIENCE_MS, PATIENCE_S = 300_000, 300
"""For things that must be loaded or trained first: nothing is timed here, and other work may use the cores."""
SCREENSHOTS = Path(__file__).parent / "screenshots"
KEEPS_SCREENSHOTS = "RANKSCOPE_SCREENSHOTS" in os.environ
"""Set by `make screenshots`: without it, no test waits for charts to finish drawing."""
# Otherwise Chromium contacts its vendor's hosts for updates, which a closed network refuses again and again.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        bundled = Path(playwright.chromium.executable_path)
        if system is None and not bundled.exists():
            pytest.fail(
                "The browser test needs Chromium: `apt-get install chromium`, or `.venv/bin/playwright install chromium`.",
                pytrace=False,
            )
        chromium = playwright.chromium.launch(executable_path=system, args=["--no-sandbox", "--disable-gpu", *QUIET])
        yield chromium
        chromium.close()


class Console:
    """What the page wrote to the console. Chromium logs failed requests: a test declares the ones it causes."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.expects_failed_requests = False

    def hear(self, message: ConsoleMessage) -> None:
        expected = self.expects_failed_requests and "Failed to load resource" in message.text
        if message.type in ("error", "warning") and not expected:
            self.problems.append(f"{message.type}: {message.text} ({message.location})")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each of these is a complete user task in one test."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(
        viewport={"width": 1440, "height": 1000},
        color_scheme="light",
        accept_downloads=True,
        reduced_motion="reduce",  # without a graphics card, each frame of an animation costs CPU time
    )
    opened.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext, console: Console) -> Iterator[Page]:
    opened = context.new_page()
    opened.on("console", console.hear)
    opened.on("pageerror", lambda error: console.problems.append(f"exception: {error}"))
    yield opened
    assert console.problems == []
