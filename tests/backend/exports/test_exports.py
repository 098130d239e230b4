"""The report and the bundle of a run, as a colleague opens them."""

import base64
import csv
import io
import json
import math
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser

import httpx
import numpy as np
import pytest
from sqlalchemy import Engine

from rankscope.contract.events import (
    ArtifactEvent,
    ComponentChange,
    MetricsEvent,
    PruneEvent,
    RanksEvent,
    WarningEvent,
)
from rankscope.exports.drawing import Line, curves, heatmap
from rankscope.store.queue import Claim
from tests.backend.conftest import Server, attempt_file
from tests.backend.store_setup import append, begin, claim, modules

NAME = "<script>alert('run')</script> & co"


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def run_id(launch: Callable[..., str], server: Server) -> str:
    """A run of four modules with a NaN loss and a NaN accuracy, one pruning, a warning, a log and an adapter."""
    run_id = launch(name=NAME)
    engine: Engine = server.app.state.resources.engine
    claimed: Claim | None = claim(engine)
    assert claimed
    begin(engine, claimed)
    mask = np.ones((4, 3), dtype=bool)
    mask[1] = False
    mask[2, 0] = False
    snapshot = RanksEvent(
        step=3,
        budget=8,
        live=8,
        modules=4,
        width=3,
        pruning=True,
        mask=base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode(),
        scores=base64.b64encode(np.ones((4, 3), "<f2").tobytes()).decode(),
    )
    append(
        engine,
        claimed,
        [
            modules(),
            MetricsEvent(step=1, values={"train_loss": 0.7}),
            MetricsEvent(step=2, values={"train_loss": math.nan, "eval_accuracy": 0.8100000001}),
            MetricsEvent(step=3, values={"train_loss": 0.5, "eval_accuracy": math.nan}),
            snapshot,
            PruneEvent(
                step=3,
                budget=8,
                total=12,
                threshold=0.2,
                final=False,
                regrown=[],
                pruned=[ComponentChange(module=2, component=0, score=0.1, order=9)],
            ),
            WarningEvent(code="nan_loss", message="The loss is nan at step 2.", next_step="Lower learning_rate."),
            ArtifactEvent(name="adapter", step=3, size_bytes=1, kept_parameters=9),
        ],
    )
    attempt_file(server.settings, run_id, "log.txt", "step 1\n")
    attempt_file(server.settings, run_id, "adapter/adapter_config.json", "{}")
    return run_id


def test_the_report_is_self_contained_and_complete(api: httpx.Client, run_id: str) -> None:
    answer = api.get(f"/api/v1/runs/{run_id}/report.html")
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]
    page = Page(answer.text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert NAME in page.text
    assert "It has not ended" in page.text
    assert "The loss is nan at step 2. Lower learning_rate." in page.text
    assert "0.81 at step 2" in page.text
    assert "NaN at step 3" in page.text
    assert page.tags.count("svg") == 4  # heatmap, budget, loss, evaluation
    assert page.tags.count("rect") == 4  # one per module
    assert "×" in page.text  # the module at rank 0


def test_the_report_of_a_long_run_with_many_modules_has_less_than_5_mb(
    api: httpx.Client, server: Server, launch: Callable[..., str]
) -> None:
    run_id = launch()
    engine: Engine = server.app.state.resources.engine
    claimed = claim(engine)
    assert claimed
    begin(engine, claimed)
    count, width = 224, 16
    full = base64.b64encode(np.packbits(np.ones((count, width), dtype=bool), bitorder="little").tobytes()).decode()
    scores = base64.b64encode(np.ones((count, width), "<f2").tobytes()).decode()
    size = {"budget": count * width, "live": count * width, "modules": count, "width": width}
    snapshots = [
        RanksEvent(step=step, **size, pruning=True, mask=full, scores=scores) for step in range(0, 50_000, 100)
    ]
    losses = [
        MetricsEvent(step=step, values={"train_loss": 1 / (step + 3), "eval_accuracy": 0.7, "eval_loss": 0.3})
        for step in range(0, 50_000, 100)
    ]
    append(engine, claimed, [modules(count, width), *losses, *snapshots])
    report = api.get(f"/api/v1/runs/{run_id}/report.html")
    assert Page(report.text).tags.count("rect") == count
    assert len(report.content) < 5_000_000


def test_a_run_that_has_done_nothing_has_a_report_too(api: httpx.Client, launch: Callable[..., str]) -> None:
    page = Page(api.get(f"/api/v1/runs/{launch()}/report.html").text)
    assert "No data." in page.text
    assert "queued" in page.text


def test_the_bundle_is_complete(api: httpx.Client, run_id: str) -> None:
    answer = api.get(f"/api/v1/runs/{run_id}/bundle")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = {name.removeprefix(f"{run_id}/"): archive.read(name).decode() for name in archive.namelist()}
    assert sorted(files) == [
        "adapter/adapter_config.json",
        "config.yaml",
        "events.jsonl",
        "ledger.csv",
        "logs/attempt-1.txt",
        "metrics.csv",
        "ranks.csv",
        "report.html",
        "run.json",
    ]
    events = [json.loads(line) for line in files["events.jsonl"].splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    metrics = list(csv.DictReader(io.StringIO(files["metrics.csv"])))
    assert [(line["metric"], line["step"], line["value"]) for line in metrics] == [
        ("eval_accuracy", "2", "0.8100000001"),
        ("eval_accuracy", "3", "nan"),
        ("train_loss", "1", "0.7"),
        ("train_loss", "2", "nan"),
        ("train_loss", "3", "0.5"),
    ]
    (change,) = csv.DictReader(io.StringIO(files["ledger.csv"]))
    assert (change["module_name"], change["component"], change["change"]) == ("layer.2.query", "0", "pruned")
    (ranks,) = csv.DictReader(io.StringIO(files["ranks.csv"]))
    assert [ranks[f"layer.{index}.query"] for index in range(4)] == ["3", "0", "2", "3"]
    assert json.loads(files["run.json"])["name"] == NAME
    assert files["logs/attempt-1.txt"] == "step 1\n"


def test_a_bundle_of_a_queued_run_is_complete(api: httpx.Client, launch: Callable[..., str]) -> None:
    run_id = launch()
    with zipfile.ZipFile(io.BytesIO(api.get(f"/api/v1/runs/{run_id}/bundle").content)) as archive:
        assert archive.testzip() is None
        assert archive.read(f"{run_id}/metrics.csv").decode().split() == ["metric,step,time,value"]


@pytest.mark.parametrize("what", ["report.html", "bundle"])
def test_an_unknown_run_has_neither_report_nor_bundle(api: httpx.Client, what: str) -> None:
    assert api.get(f"/api/v1/runs/unknown1/{what}").status_code == 404


def test_drawings_are_well_formed_and_break_lines_at_nan() -> None:
    chart = curves([Line("a < b", [0, 1, 2, 3], [1.0, math.nan, 2.0, 3.0], "#000")], x_title="step")
    svg = ElementTree.fromstring(chart[: chart.index("</svg>") + 6])
    lines = [element.get("points", "").split() for element in svg.iter("polyline")]
    assert [len(line) for line in lines] == [1, 2]
    flat = curves([Line("flat", [5], [2.0], "#000")], x_title="step")
    assert "nan" not in flat
    cells = np.array([[3, 0], [1, -1]])
    drawn = ElementTree.fromstring(heatmap(["0", "1"], ["query", "a & b"], cells, 3))
    assert len(list(drawn.iter("rect"))) == 3


def test_a_metric_named_like_a_formula_is_a_text_in_a_spreadsheet(
    api: httpx.Client, server: Server, launch: Callable[..., str]
) -> None:
    run_id = launch()
    claimed = claim(server.app.state.resources.engine)
    assert claimed
    begin(server.app.state.resources.engine, claimed)
    values = {"=HYPERLINK(1)": -1.5, "@sum": -math.inf}
    append(server.app.state.resources.engine, claimed, [MetricsEvent(step=1, values=values)])
    archive = zipfile.ZipFile(io.BytesIO(api.get(f"/api/v1/runs/{run_id}/bundle").content))
    rows = list(csv.reader(io.StringIO(archive.read(f"{run_id}/metrics.csv").decode())))
    assert {(row[0], row[3]) for row in rows[1:]} == {("'=HYPERLINK(1)", "-1.5"), ("'@sum", "-inf")}
