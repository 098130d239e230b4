"""A separate server for a benchmark, and its response times."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import httpx

from rankscope.settings import Settings
from tests.stack import TOKEN, wait_for


class Served(NamedTuple):
    api: httpx.Client
    pid: int


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    server = subprocess.Popen(
        [sys.executable, "-m", "rankscope", "api"],
        env=os.environ | settings.as_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{settings.port}/api/v1",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=300,
        ) as api:
            wait_for("the API to answer", lambda: _answers(api), deadline_s=120)
            yield Served(api, server.pid)
    finally:
        server.terminate()
        server.wait(60)


def p95_ms(ask: Callable[[], object], rounds: int) -> float:
    """Returns the 95th percentile of the times of `rounds` (at least 2) calls, after two that don't count."""
    times = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        ask()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.quantiles(times[2:], n=20)[-1]


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/system/health").is_success
    except httpx.TransportError:
        return False
