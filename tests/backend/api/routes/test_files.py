"""Logs by byte offset, checkpoints, the adapter's zip, and numbers over the steps."""

import base64
import io
import json
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rankscope.api.logs import PART_BYTES, read_part
from rankscope.contract.config import RunConfig
from rankscope.contract.events import (
    ArtifactEvent,
    CheckpointEvent,
    ComponentChange,
    MetricsEvent,
    PruneEvent,
    RanksEvent,
)
from rankscope.contract.preset import Preset
from rankscope.contract.status import RunStatus
from rankscope.exports.archive import files_within
from rankscope.launch.controls import controls
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import writing
from rankscope.store.queue import Claim, reap
from tests.backend.conftest import Server, attempt_file
from tests.backend.store_setup import append, begin, claim, metric, modules

SNAPSHOT = {"budget": 12, "modules": 4, "width": 3, "mask": "/w8=", "scores": base64.b64encode(bytes(24)).decode()}


@pytest.fixture
def run_id(server: Server, launch: Callable[..., str]) -> str:
    """A run that trains in its first attempt."""
    launched = launch()
    claimed = claim(server.app.state.resources.engine)
    assert claimed
    begin(server.app.state.resources.engine, claimed)
    return launched


@pytest.fixture
def settings(server: Server) -> Settings:
    return server.settings


def end(server: Server, run_id: str, status: RunStatus) -> None:
    with writing(server.app.state.resources.engine) as session:
        runs.transition(session, runs.get_run(session, run_id), status, now=9)


def test_log_is_empty_before_it_begins(api: httpx.Client, run_id: str) -> None:
    part = api.get(f"/api/v1/runs/{run_id}/log").json()
    assert (part["text"], part["size"], part["attempt"]) == ("", 0, 1)
    assert api.get(f"/api/v1/runs/{run_id}/log/download").status_code == 404


def test_log_read_part_by_part_gives_every_byte_once(
    api: httpx.Client, server: Server, settings: Settings, run_id: str
) -> None:
    text = "".join(f"line {number} é\n" for number in range(20_000))
    attempt_file(settings, run_id, "log.txt", text + "unfinished")
    seen, offset = "", 0
    while True:
        part = api.get(f"/api/v1/runs/{run_id}/log", params={"offset": offset}).json()
        assert part["offset"] == offset
        if not part["text"]:
            break
        assert part["text"].endswith("\n")
        seen, offset = seen + part["text"], part["next_offset"]
    assert seen == text
    end(server, run_id, RunStatus.failed)
    assert api.get(f"/api/v1/runs/{run_id}/log", params={"offset": offset}).json()["text"] == "unfinished"
    download = api.get(f"/api/v1/runs/{run_id}/log/download")
    assert download.text == text + "unfinished"
    assert "attachment" in download.headers["content-disposition"]


def test_log_tail_begins_at_a_line(api: httpx.Client, settings: Settings, run_id: str) -> None:
    attempt_file(settings, run_id, "log.txt", "".join(f"line {number}\n" for number in range(20_000)))
    part = api.get(f"/api/v1/runs/{run_id}/log").json()
    assert part["text"].startswith("line ")
    assert part["text"].endswith("line 19999\n")
    assert PART_BYTES - 20 < len(part["text"]) <= PART_BYTES
    assert part["next_offset"] == part["size"]


def test_log_of_the_newest_attempt_that_has_one_is_the_default(
    api: httpx.Client, server: Server, settings: Settings, run_id: str
) -> None:
    attempt_file(settings, run_id, "log.txt", "first\n")
    end(server, run_id, RunStatus.interrupted)
    assert claim(server.app.state.resources.engine)
    assert api.get(f"/api/v1/runs/{run_id}/log").json()["text"] == "first\n"
    attempt_file(settings, run_id, "log.txt", "second\n", attempt=2)
    part = api.get(f"/api/v1/runs/{run_id}/log").json()
    assert (part["attempt"], part["text"]) == (2, "second\n")
    assert api.get(f"/api/v1/runs/{run_id}/log?attempt=1").json()["text"] == "first\n"
    assert api.get(f"/api/v1/runs/{run_id}/log?attempt=0").status_code == 422


def test_endless_line_is_split_between_characters(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" + "é".encode() * PART_BYTES)
    seen, offset = "", 0
    while offset < path.stat().st_size:
        part = read_part(path, offset, is_growing=False)
        seen, offset = seen + part.text, part.next_offset
    assert seen == "x" + "é" * PART_BYTES
    assert read_part(path, 10**9, is_growing=False).text == ""


def test_adapter_comes_as_a_zip_of_its_folder_alone(
    api: httpx.Client, server: Server, settings: Settings, run_id: str
) -> None:
    address = f"/api/v1/runs/{run_id}/adapter"
    secret = attempt_file(settings, run_id, "secret.txt", "not for you")
    weights = os.urandom(3_000_000)
    attempt_file(settings, run_id, "adapter/adapter_config.json", "{}")
    attempt_file(settings, run_id, "adapter/tokenizer/vocab.txt", "a\n")
    attempt_file(settings, run_id, "adapter/rank_pattern.json", json.dumps({"layer.0.query": 3}))
    folder = settings.attempt_dir(run_id, 1) / "adapter"
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "link.txt").symlink_to(secret)
    (folder / "outside").symlink_to(secret.parent.parent, target_is_directory=True)
    assert api.get(address).status_code == 404  # the run has not reported that it is complete
    engine = server.app.state.resources.engine
    with writing(engine) as session:
        claimed_attempt = runs.get_run(session, run_id).attempt
    assert claimed_attempt == 1
    append(engine, Claim(run_id, 1, {}), [ArtifactEvent(name="adapter", step=100, size_bytes=1, kept_parameters=9)])
    end(server, run_id, RunStatus.done)
    refused = api.get(address)  # its weights are not a safetensors file
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "layout"
    answer = api.get(f"{address}?layout=compact")
    assert answer.headers["content-type"] == "application/zip"
    assert f"{run_id}-adapter.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
            "rank_pattern.json",
            "tokenizer/vocab.txt",
        ]
        assert archive.read("adapter_model.safetensors") == weights
    assert api.get(f"/api/v1/runs/{run_id}/rank_pattern.json").json() == {"layer.0.query": 3}
    assert len(files_within(folder)) == 4


def test_the_controls_of_a_finished_run_are_ready_to_launch(
    api: httpx.Client, server: Server, settings: Settings, run_id: str
) -> None:
    address = f"/api/v1/runs/{run_id}/controls"
    assert api.get(address).status_code == 404
    name = "bert.encoder.layer.0.attention.self"
    ranks = {f"{name}.query": 5, f"{name}.key": 0, f"{name}.value": 3}
    attempt_file(settings, run_id, "adapter/rank_pattern.json", json.dumps(ranks))
    append(
        server.app.state.resources.engine,
        Claim(run_id, 1, {}),
        [ArtifactEvent(name="adapter", step=100, size_bytes=1, kept_parameters=9)],
    )
    end(server, run_id, RunStatus.done)
    control, lora = api.get(address).json()["items"]
    run = api.get(f"/api/v1/runs/{run_id}").json()["config"]
    assert control["config"]["method"]["rank_pattern"] == ranks
    assert lora["config"]["method"]["rank"] == 3  # 8 / 3, rounded
    for one in (control, lora):
        assert {part: one["config"][part] for part in ("model", "data", "training")} == {
            part: run[part] for part in ("model", "data", "training")
        }
        assert one["title"]
        assert one["description"]


def test_a_control_is_given_a_learning_rate_that_lora_bears_and_says_so() -> None:
    def offered(method: dict[str, Any], learning_rate: float) -> Preset:
        config = RunConfig.model_validate(
            {
                "model": {"id": "m"},
                "data": {"id": "d"},
                "method": method,
                "training": {"epochs": 1, "learning_rate": learning_rate},
            }
        )
        return controls(config, {"a": 2})[0]

    def rate(method: dict[str, Any], learning_rate: float) -> float:
        return offered(method, learning_rate).config.training.learning_rate

    assert rate({"name": "dynamic_rank"}, 1e-2) == 3e-3
    assert "At learning rate 0.003: this run's 0.01" in offered({"name": "dynamic_rank"}, 1e-2).description
    assert rate({"name": "dynamic_rank"}, 1e-4) == 1e-4
    assert "learning rate" not in offered({"name": "dynamic_rank"}, 1e-4).description
    assert rate({"name": "dynamic_rank", "init": "zero_b"}, 1e-2) == 1e-2
    assert rate({"name": "adalora"}, 1e-2) == 3e-3


def test_checkpoints_that_are_kept_are_listed_newest_last_with_the_best_marked(
    api: httpx.Client, server: Server, run_id: str, settings: Settings
) -> None:
    engine = server.app.state.resources.engine
    mine = Claim(run_id, 1, {})
    append(engine, mine, [CheckpointEvent(step=step, size_bytes=step) for step in (25, 50, 100)])
    for step, best in ((50, {"step": 50, "value": 0.8}), (100, {"step": None, "value": None})):
        # That of step 25 was deleted since.
        folder = settings.checkpoint_dir(run_id, 1, step)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"files": {}, "notes": {"best": best}}))

    def listed() -> list[tuple[int, int, bool]]:
        items = api.get(f"/api/v1/runs/{run_id}/checkpoints").json()["items"]
        return [(item["step"], item["size_bytes"], item["is_best"]) for item in items]

    # The newest one determines it: before the ranks are final, there is no best checkpoint.
    assert listed() == [(50, 50, False), (100, 100, False)]
    manifest = settings.checkpoint_dir(run_id, 1, 100) / "manifest.json"
    manifest.write_text(json.dumps({"files": {}, "notes": {"best": {"step": 50, "value": 0.8}}}))
    assert listed() == [(50, 50, True), (100, 100, False)]
    manifest.write_text("half")
    assert listed() == [(50, 50, False), (100, 100, False)]


def test_metrics_keep_nan_and_are_reduced_only_when_asked(api: httpx.Client, server: Server, run_id: str) -> None:
    values = [math.nan if step == 7 else float(step % 50) for step in range(5000)]
    append(
        server.app.state.resources.engine,
        Claim(run_id, 1, {}),
        [metric("eval/accuracy", step, value) for step, value in enumerate(values)],
    )
    names = api.get(f"/api/v1/runs/{run_id}/metrics").json()
    assert names["items"]["eval/accuracy"]["max"] == 49
    address = f"/api/v1/runs/{run_id}/metrics/eval/accuracy"
    reduced = api.get(address, params={"points": 100}).json()
    assert reduced["is_reduced"]
    assert len(reduced["steps"]) < 150
    assert "NaN" in reduced["values"]
    every = api.get(address, params={"points": "all"}).json()
    assert (every["total_points"], every["is_reduced"], every["steps"]) == (5000, False, list(range(5000)))
    assert every["values"][7] == "NaN"
    assert api.get(address, params={"from": 10, "to": 12}).json()["steps"] == [10, 11, 12]
    assert api.get(f"/api/v1/runs/{run_id}/metrics/nothing").json()["steps"] == []


def test_ranks_and_ledger_name_their_modules(api: httpx.Client, server: Server, run_id: str) -> None:
    change = ComponentChange(module=2, component=1, score=math.nan, order=12)
    append(
        server.app.state.resources.engine,
        Claim(run_id, 1, {}),
        [
            modules(),
            RanksEvent(step=0, live=12, **SNAPSHOT),
            RanksEvent(step=20, live=11, threshold=math.nan, pruning=True, **SNAPSHOT),
            PruneEvent(step=20, budget=11, total=12, threshold=0.5, final=False, pruned=[change], regrown=[]),
        ],
    )
    ranks = api.get(f"/api/v1/runs/{run_id}/ranks").json()
    assert (len(ranks["modules"]), ranks["width"], ranks["total_frames"], ranks["is_reduced"]) == (4, 3, 2, False)
    assert (ranks["steps"], ranks["live"], ranks["threshold"]) == ([0, 20], [12, 11], [None, "NaN"])
    (line,) = api.get(f"/api/v1/runs/{run_id}/ranks/ledger").json()["items"]
    assert (line["module_name"], line["score"], line["change"]) == ("layer.2.query", "NaN", "pruned")
    assert api.get(f"/api/v1/runs/{run_id}/ranks/ledger?module=1").json()["items"] == []
    page = api.get(f"/api/v1/runs/{run_id}/events?after=3&limit=2").json()
    assert ([event["seq"] for event in page["items"]], page["has_more"], page["last_seq"]) == ([4, 5], True, 7)


def test_the_tail_that_a_resume_has_cut_is_shown_as_a_ghost_when_asked(
    api: httpx.Client, server: Server, run_id: str
) -> None:
    engine = server.app.state.resources.engine
    losses = [metric("train_loss", step, step / 10) for step in range(1, 8)]
    append(engine, Claim(run_id, 1, {}), [*losses, metric("train_loss", 8, math.nan)])
    for attempt, start, values in ((2, 4, {5: 50.0, 6: 60.0}), (3, 5, {6: 600.0})):
        with writing(engine) as session:
            reap(session, now=1e6 * attempt, max_lost_workers=9)
        assert claim(engine, now=1e6 * attempt + 1) is not None
        begin(engine, Claim(run_id, attempt, {}), start_step=start)
        points = [metric("train_loss", step, value) for step, value in values.items()]
        append(engine, Claim(run_id, attempt, {}), points)
    plain = api.get(f"/api/v1/runs/{run_id}/metrics/train_loss").json()
    assert (plain["steps"], plain["ghosts"]) == ([1, 2, 3, 4, 5, 6], [])
    shown = api.get(f"/api/v1/runs/{run_id}/metrics/train_loss?ghost=true").json()
    assert (shown["steps"], shown["values"][-2:]) == (plain["steps"], [50.0, 600.0])
    assert shown["ghosts"] == [
        {"attempt": 1, "steps": [5, 6, 7, 8], "values": [0.5, 0.6, 0.7, "NaN"]},
        {"attempt": 2, "steps": [6], "values": [60.0]},
    ]


def test_many_series_come_at_once_smoothed_and_with_times_when_asked(
    api: httpx.Client, server: Server, run_id: str
) -> None:
    engine = server.app.state.resources.engine
    values = [{"loss": step / 4, "odd": math.nan if step == 2 else 1.0} for step in range(4)]
    batch = [MetricsEvent(step=step, values=one) for step, one in enumerate(values)]
    append(engine, Claim(run_id, 1, {}), batch, now=77.0)
    address = f"/api/v1/runs/{run_id}/series"
    every = api.get(address).json()
    assert [(one["name"], one["steps"]) for one in every["items"]] == [("loss", [0, 1, 2, 3]), ("odd", [0, 1, 2, 3])]
    assert every["last_seq"] == api.get(f"/api/v1/runs/{run_id}").json()["last_seq"]
    assert [(one["times"], one["smoothed"]) for one in every["items"]] == [(None, None)] * 2
    (odd,) = api.get(address, params={"names": ["odd"], "smooth": 0.5, "times": True}).json()["items"]
    assert (odd["values"], odd["smoothed"], odd["times"]) == ([1.0, 1.0, "NaN", 1.0], [1.0] * 4, [77.0] * 4)
    loss, nothing = api.get(address, params={"names": ["loss", "nothing"], "from": 2, "to": 2}).json()["items"]
    assert (loss["steps"], loss["values"], loss["total_points"]) == ([2], [0.5], 1)
    assert (nothing["name"], nothing["steps"], nothing["total_points"]) == ("nothing", [], 0)
    for wrong in ({"smooth": 1}, {"points": "few"}, {"names": [""]}):
        assert api.get(address, params=wrong).status_code == 422


def test_the_log_is_searched_in_the_newest_attempt_that_has_one(api: httpx.Client, server: Server, run_id: str) -> None:
    address = f"/api/v1/runs/{run_id}/log/search"
    assert api.get(address, params={"q": "loss"}).json() == {"attempt": 1, "items": [], "next_from": None, "size": 0}
    folder = server.settings.attempt_dir(run_id, 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.txt").write_text("first\nLOSS is NaN\nloss again\n")
    found = api.get(address, params={"q": "loss", "limit": 1}).json()
    assert found == {"attempt": 1, "items": [{"offset": 6, "line": "LOSS is NaN"}], "next_from": 18, "size": 29}
    assert api.get(address, params={"q": "loss", "from": 18}).json()["items"] == [{"offset": 18, "line": "loss again"}]
    assert api.get(address, params={"q": ""}).status_code == 422
