"""A bundle imports into another installation: the run is the same there, and a bad file changes nothing."""

import io
import json
import math
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rankscope.contract.events import ArtifactEvent, MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.store import runs
from rankscope.store.database.engine import writing
from rankscope.store.queue import give_up_lease
from tests.backend.conftest import Server, attempt_file
from tests.backend.store_setup import append, begin, claim, losses, modules

Files = dict[str, bytes]


@pytest.fixture
def run_id(launch: Callable[..., str], server: Server) -> str:
    """A finished run whose first attempt was replaced after step 2, with a NaN, logs, results and an adapter."""
    run_id = launch(name="to share", tags=["a"], notes="From the lab.")
    engine = server.app.state.resources.engine
    first = claim(engine)
    assert first
    begin(engine, first)
    append(engine, first, [modules(), *losses(1, 2, 3, 4)])
    with writing(engine) as session:
        give_up_lease(session, runs.get_run(session, run_id), now=5, reason="worker_lost", message="Lost.")
    second = claim(engine, now=6)
    assert second
    begin(engine, second, start_step=2, now=7)
    append(
        engine,
        second,
        [
            modules(),
            MetricsEvent(step=3, values={"train_loss": math.nan, "eval_accuracy": 0.8}),
            ArtifactEvent(name="adapter", step=3, size_bytes=1, kept_parameters=9),
        ],
        now=8,
    )
    with writing(engine) as session:
        runs.transition(session, runs.get_run(session, run_id), RunStatus.done, now=9)
    attempt_file(server.settings, run_id, "log.txt", "first\n")
    attempt_file(server.settings, run_id, "log.txt", "second\n", attempt=2)
    attempt_file(server.settings, run_id, "adapter/adapter_config.json", "{}", attempt=2)
    return run_id


@pytest.fixture
def bundle(api: httpx.Client, run_id: str) -> bytes:
    return api.get(f"/api/v1/runs/{run_id}/bundle").content


def send(api: httpx.Client, content: bytes) -> httpx.Response:
    return api.post("/api/v1/runs/import", content=content, headers={"Content-Type": "application/octet-stream"})


_SAME = ("name", "tags", "notes", "status", "config", "metrics", "step", "attempt", "modules", "width", "artifact")


def seen(api: httpx.Client, run_id: str) -> dict[str, Any]:
    """The parts of the run that its page shows."""
    path = f"/api/v1/runs/{run_id}"
    run = api.get(path).json()
    found = {
        name: run[name] for name in (*_SAME, "created_at", "started_at", "ended_at", "kept_parameters", "last_seq")
    }
    found["attempts"] = run["attempts"]
    for part in ("events?limit=1000", "series?ghost=true&times=true", "ranks", "log?attempt=1"):
        found[part] = api.get(f"{path}/{part}").json()
    with zipfile.ZipFile(io.BytesIO(api.get(f"{path}/adapter?layout=compact").content)) as archive:
        found["adapter"] = archive.namelist()
    return found


def test_an_imported_run_shows_what_the_original_did(api: httpx.Client, bundle: bytes, run_id: str) -> None:
    before = seen(api, run_id)
    # The same installation already has the id; another installation, where the id is free, keeps it.
    copied = send(api, bundle)
    assert copied.status_code == 201, copied.text
    copy = copied.json()
    assert copy["id"] != run_id
    assert copied.headers["location"] == f"/api/v1/runs/{copy['id']}"
    assert copy["environment"]["imported_from"] == run_id
    assert seen(api, copy["id"]) == before
    assert seen(api, run_id) == before
    listed = api.get("/api/v1/runs", params={"sort": "headline"}).json()["items"]
    assert {item["id"] for item in listed} == {run_id, copy["id"]}


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_free_id_is_kept(server: Server, api: httpx.Client, bundle: bytes, run_id: str) -> None:
    server.forget_everything()
    assert send(api, bundle).json()["id"] == run_id
    assert list((server.settings.data_dir / "incoming").iterdir()) == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_run_that_had_not_ended_is_stopped_here(api: httpx.Client, launch: Callable[..., str]) -> None:
    bundle = api.get(f"/api/v1/runs/{launch()}/bundle").content
    imported = send(api, bundle).json()
    assert (imported["status"], imported["message"]) == ("stopped", "It was queued when its bundle was exported.")


def changed(bundle: bytes, change: Callable[[Files, str], None]) -> bytes:
    """The bundle with other files. Names are relative to the run's folder."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        run_id = archive.namelist()[0].partition("/")[0]
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files, run_id)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def event_lines(files: Files, run_id: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
    name = f"{run_id}/events.jsonl"
    events = [json.loads(line) for line in files[name].splitlines()]
    change(events)
    files[name] = "".join(f"{json.dumps(event)}\n" for event in events).encode()


def set_file(name: str, content: bytes = b"x") -> Callable[[Files, str], None]:
    return lambda files, run_id: files.update({name.replace("RUN", run_id): content})


def edit_run(**fields: Any) -> Callable[[Files, str], None]:
    def change(files: Files, run_id: str) -> None:
        name = f"{run_id}/run.json"
        files[name] = json.dumps(json.loads(files[name]) | fields).encode()

    return change


BAD: dict[str, tuple[Callable[[Files, str], None], str]] = {
    "a path outside": (set_file("RUN/adapter/../../../evil.json"), "does not belong in a bundle"),
    "an absolute path": (set_file("/etc/evil.json"), "does not belong in a bundle"),
    "another run": (set_file("other/run.json"), "contains 'run.json' twice"),
    "a pickle": (set_file("RUN/adapter/adapter_model.bin"), "kind of file is not accepted"),
    "no events": (
        lambda files, run_id: void(files.pop(f"{run_id}/events.jsonl")),
        "run.json or events.jsonl is missing",
    ),
    "a gap": (
        lambda files, run_id: event_lines(files, run_id, lambda events: void(events.pop(2))),
        "where event 3 belongs",
    ),
    "an unknown event": (
        lambda files, run_id: event_lines(files, run_id, lambda events: events[1].update(kind="future")),
        "an event 2 that this version can't read",
    ),
    "an attempt that never was": (
        lambda files, run_id: event_lines(files, run_id, lambda events: events[1].update(attempt=7)),
        "of attempt 7",
    ),
    "a time that is no number": (
        lambda files, run_id: event_lines(files, run_id, lambda events: events[1].update(time="now")),
        "the time 'now'",
    ),
    "not an event": (set_file("RUN/events.jsonl", b"[1]\n"), "not an event"),
    "an unknown method": (
        edit_run(config={"model": {"id": "a"}, "data": {"id": "b"}, "method": {"name": "x"}, "training": {}}),
        "has a configuration that this version can't read",
    ),
    "a bad time of the run": (edit_run(created_at=-1), "run.json that can't be read: created_at"),
}


def void(_value: object) -> None:
    return None


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_bundle_is_refused_and_leaves_nothing(
    server: Server, api: httpx.Client, bundle: bytes, run_id: str, case: str
) -> None:
    change, words = BAD[case]
    answer = send(api, changed(bundle, change))
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == "body"
    assert [run["id"] for run in api.get("/api/v1/runs").json()["items"]] == [run_id]
    assert list((server.settings.data_dir / "incoming").iterdir()) == []
    assert not Path(server.settings.data_dir / "evil.json").exists()


def linked(bundle: bytes) -> bytes:
    target = io.BytesIO(bundle)
    with zipfile.ZipFile(target, "a") as archive:
        entry = zipfile.ZipInfo(f"{archive.namelist()[0].partition('/')[0]}/adapter/link.json")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return target.getvalue()


def damaged(bundle: bytes) -> bytes:
    place = bundle.index(b"events.jsonl") + 60
    return bundle[:place] + bytes([bundle[place] ^ 255]) + bundle[place + 1 :]


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda bundle: b"", "is not a zip file"),
        (lambda bundle: bundle[: len(bundle) // 2], "is not a zip file, or ends too early"),
        (lambda bundle: b"no zip" * 100, "is not a zip file"),
        (linked, "a link or a special file"),
        (damaged, "is not a complete zip file"),
    ],
    ids=["empty", "half", "no zip", "link", "damaged"],
)
def test_a_file_that_is_not_a_whole_bundle_is_refused(
    api: httpx.Client, bundle: bytes, make: Callable[[bytes], bytes], words: str
) -> None:
    answer = send(api, make(bundle))
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]


def many(bundle: bytes) -> bytes:
    target = io.BytesIO(bundle)
    with zipfile.ZipFile(target, "a") as archive:
        for index in range(2001):
            archive.writestr(f"a/logs/attempt-{index}.txt", "")
    return target.getvalue()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_bundle_of_thousands_of_files_is_refused_before_they_are_read(api: httpx.Client, bundle: bytes) -> None:
    assert "files; a bundle has at most 2,000" in send(api, many(bundle)).json()["detail"]
