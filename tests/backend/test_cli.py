"""The command line: failures print one sentence and exit with code 1, and a run's text is escaped for the terminal."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import example, given
from hypothesis import settings as limits
from hypothesis import strategies as some
from sqlalchemy import update
from sqlmodel import col
from typer.testing import CliRunner, Result

from rankscope.cli import app
from rankscope.cli.output import printable
from rankscope.client import ApiError, Client
from rankscope.contract.status import RunStatus
from rankscope.contract.tables import Run
from rankscope.embedded import free_port
from rankscope.settings import Settings
from rankscope.store import runs
from rankscope.store.database.engine import create_engine, writing
from rankscope.yaml_text import UnreadableText, dump, parse
from tests.backend.conftest import CONFIG, Server, start_server
from tests.backend.store_setup import append, begin, claim, losses, queued_run, sequence
from tests.stack import TOKEN, wait_for


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


Command = Callable[..., Result]


@pytest.fixture
def command(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `rankscope ...` against the server."""
    monkeypatch.setenv("RANKSCOPE_URL", server.url)
    monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
    monkeypatch.setenv("RANKSCOPE_DATA_DIR", str(tmp_path))
    return lambda *arguments, **options: CliRunner().invoke(app, [str(part) for part in arguments], **options)


def sentence(result: Result) -> str:
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.stderr.startswith("rankscope: "), result.stderr
    assert "Traceback" not in result.output
    return result.stderr


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, "more than 20,000 values"),
        ("a: &a {<<: [*a, *a]}", "deeper than 30 levels"),
        ("b: &b {x: 1}\n" + "".join(f"c{n}: &c{n} {{<<: [*b, *b]}}\n" for n in range(9000)), "more than 20,000 values"),
        ("a: &a [*a]", "deeper than 30 levels"),
        ("[" * 100_000, "deeper than 30 levels"),
        ("{" * 100_000, "deeper than 30 levels"),
        ("- " * 100_000, "deeper than 30 levels"),
        ("model: {id: x}\nmodel: {id: y}", "line 2, column 1: the field 'model' appears twice"),
        ('{"model": 1,\n "model": 2}', "line 2, column 2: the field 'model' appears twice"),
        ("training:\n  learning_rate: .nan", "line 2, column 18: '.nan' is not a finite number"),
        ("a: -.inf", "not a finite number"),
        ('{"a": NaN, "b": .nan}', "not a finite number"),
        ("a: 1e999", "not a finite number"),
        ("a: 1" + "0" * 5000, "is not a valid number"),
        ("a: !!set {x}", "the tag !!set is not allowed"),
        ("a: !!binary aGk=", "the tag !!binary is not allowed"),
        ("a: !!timestamp 2024-01-01", "the tag !!timestamp is not allowed"),
        ("a: !!python/object/apply:os.system [ls]", "not allowed"),
        ("a: !own x", "the tag !own is not allowed"),
        ("a:\n\t- b", "line 2, column 1: found character '\\t'"),
        ("a: 'open", "line 1, column 9"),
        ("a: *nothing", "line 1, column 4: found undefined alias 'nothing'"),
        ("1: x", "line 1, column 1: field names must be text"),
        ("? [a]\n: x", "field names must be text"),
        ('a: "\\ud800"', "line 1, column 4: contains half of a surrogate pair"),
        ('{"a": "\\ud800"}', "line 1, column 7: contains half of a surrogate pair"),
        ("a: 1\n---\nb: 2", "another document"),
        ("- a\n- b", "does not contain a configuration"),
        ("just words", "does not contain a configuration"),
        ("", "does not contain a configuration"),
        ("a: b\x07", "line 1, column 5: the character U+0007"),
        ("a: b\nc: \x1b[31m", "line 2, column 4: the character U+001B"),
        (b"\xff\xfea\x00:\x00", "UTF-16"),
        (b"a: 1\nb: \xe9t\xe9", "line 2, column 4: the byte 0xE9 is not UTF-8"),
        (b"a: " + b"x" * 600_000, "larger than 500,000 bytes"),
    ],
)
def test_configuration_that_cannot_be_parsed_is_one_sentence_with_its_position(
    command: Command, tmp_path: Path, text: str | bytes, says: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    told = sentence(command("launch", path))
    assert says in told
    assert len(told.splitlines()) == 1
    assert len(told) < 500
    assert says in sentence(command("launch", "-", input=text))


def test_missing_file_or_folder_is_reported_in_one_sentence(command: Command, tmp_path: Path) -> None:
    assert "No such file" in sentence(command("launch", tmp_path / "none.yaml"))
    assert "directory" in sentence(command("launch", tmp_path))


def test_configuration_in_every_form_is_launched(command: Command, tmp_path: Path) -> None:
    config = json.loads(json.dumps(CONFIG)) | {"training": {"max_steps": 100, "batch_size": 8, "learning_rate": 1e-3}}
    for name, text in {
        "plain.yaml": yaml.safe_dump(config).replace("0.001", "1e-3"),
        "bom.yaml": "\ufeff" + yaml.safe_dump(config),
        "alias.yaml": yaml.safe_dump(config).replace("{}", "&none {}") + "hardware: &h {device: cpu}\nsteering: []\n",
        "tabs.json": json.dumps(config, indent="\t"),
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        made = command("launch", tmp_path / name, "--json")
        assert made.exit_code == 0, made.output
        assert json.loads(made.stdout)["config"]["training"]["learning_rate"] == 0.001


letters = some.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(10**9), 10**9)
    | some.text(letters, max_size=8)
    | some.floats(allow_nan=False, allow_infinity=False, width=32),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text("abc é", max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(value=values)
@limits(max_examples=150)
@example(value={"0E0": "1e5"})
def test_yaml_and_json_are_read_back_unchanged(value: Any) -> None:
    assert parse(json.dumps(value), "x") == value
    assert parse(json.dumps({"x": value}), "x") == {"x": value}
    assert parse(dump(value), "x") == value


@given(text=some.text(max_size=60) | some.text("[]{}:,-&*!'\"#|>%@`?\n\t <ab1.e+", max_size=60))
@limits(max_examples=300)
def test_every_text_is_parsed_or_rejected_with_a_sentence(text: str) -> None:
    with contextlib.suppress(UnreadableText):
        json.dumps(parse(text, "x"), allow_nan=False, ensure_ascii=False).encode()


def test_changes_are_read_like_a_configuration(command: Command) -> None:
    for change, says in [
        ("training", "is not a valid change"),
        ("a..b=1", "is not a valid change"),
        ("training.seed=*x", "undefined alias"),
        ("training.seed=.nan", "not a finite number"),
    ]:
        assert says in sentence(command("retry", "abcd", "--set", change))
    assert "already gives training a value" in sentence(
        command("retry", "abcd", "--set", "training=3", "--set", "training.seed=1")
    )


EVERY = [
    ("launch", "-"),
    ("runs",),
    ("watch", "abcd"),
    ("stop", "abcd"),
    ("resume", "abcd"),
    ("retry", "abcd"),
    ("fork", "abcd"),
    ("checkpoints", "abcd"),
    ("steer", "abcd", "hold"),
    ("queue",),
    ("queue", "--first", "abcd"),
    ("edit", "abcd", "-"),
    ("priority", "abcd", "3"),
    ("export", "abcd"),
    ("bundle", "abcd"),
]


@pytest.fixture
def other() -> Iterator[str]:
    """The address of a server that answers everything with a page of HTML."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        do_POST = do_PUT = do_PATCH = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_every_command_reports_an_unreachable_or_refusing_server_in_one_sentence(
    command: Command, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config = "model: {id: none}\ndata: {id: none}\nmethod: {name: full}\ntraining: {max_steps: 3}\n"
    monkeypatch.setenv("RANKSCOPE_TOKEN", "wrong")
    assert "sign in" in sentence(command(*arguments, input=config))
    monkeypatch.setenv("RANKSCOPE_TOKEN", "tökén")
    assert "RANKSCOPE_TOKEN" in sentence(command(*arguments, input=config))
    monkeypatch.setenv("RANKSCOPE_TOKEN", TOKEN)
    if arguments not in (("runs",), ("queue",)):  # these are valid
        told = sentence(command(*arguments, input=config))
        assert "'abcd'" in told or "config.model.id" in told
    for url, says in [
        (f"http://127.0.0.1:{free_port()}", "No RankScope server responds"),
        ("http://127.0.0.1:x", "not a valid address"),
        ("127.0.0.1:1", "not a valid address"),
        (other, "is not RankScope"),
    ]:
        monkeypatch.setenv("RANKSCOPE_URL", url)
        assert says in sentence(command(*arguments, input=config)), url
    monkeypatch.setenv("RANKSCOPE_PORT", "many")
    monkeypatch.delenv("RANKSCOPE_URL")
    assert "RANKSCOPE_PORT" in sentence(command(*arguments, input=config))


def test_a_bundle_is_written_and_imported_again(command: Command, launch: Callable[..., str], tmp_path: Path) -> None:
    run_id, file = launch(name="to share"), tmp_path / "run.zip"
    assert command("bundle", run_id, "--output", file).exit_code == 0
    imported = json.loads(command("import", file, "--json").stdout)
    assert (imported["name"], imported["environment"]["imported_from"]) == ("to share", run_id)
    file.write_text("no zip")
    assert "is not a zip file" in sentence(command("import", file))


def test_run_id_is_not_a_path(command: Command) -> None:
    for run_id in ("../queue", "a/b", "?x", "#", "é", "\x1b[31m", "x" * 300):
        sentence(command("stop", run_id))


def test_no_text_of_a_run_controls_the_terminal(command: Command, server: Server, launch: Callable[..., str]) -> None:
    run_id = launch()
    engine = server.app.state.resources.engine
    odd = "\x1b]0;owned\x07\x1b[2J red\u202e \x9b31m\nsecond line"
    with writing(engine) as session:  # as accepted by an older version
        session.execute(update(Run).where(col(Run.id) == run_id).values(name=odd))
    for arguments in (("runs",), ("queue",), ("stop", run_id), ("resume", run_id), ("priority", run_id, "1")):
        shown = command(*arguments)
        assert shown.exit_code == 0, shown.output
        assert not set("\x1b\x07\x9b\u202e") & set(shown.stdout)
        assert len(shown.stdout.splitlines()) == 1
    assert json.loads(command("runs", "--json").stdout)["items"][0]["name"] == odd


def test_printable_text_is_unchanged() -> None:
    for text in ("plain", "über 日本 🎈", "👩‍👩‍👧", "a\\b", "'quoted'", " space "):
        assert printable(text) == text
    assert printable("a\x1b[31m\n\x00\u202eb") == "a\\x1b[31m\\n\\x00\\u202eb"


def ends_with(numbers: Sequence[int], last: int) -> bool:
    return bool(numbers) and numbers[-1] == last


def test_watch_reconnects_and_shows_each_event_once(settings: Settings) -> None:
    port = free_port()
    server = start_server(settings, port=port)
    engine = create_engine(settings.resolved_database_url)
    queued_run(engine)
    claimed = claim(engine)
    assert claimed is not None
    begin(engine, claimed)
    seen: list[int] = []
    notices: list[str] = []
    client = Client(f"http://127.0.0.1:{port}", TOKEN)
    client.pause_s = 0.05

    def watch() -> None:
        seen.extend(event["seq"] for event in _noted(client.watch(claimed.run_id, notify=notices.append), seen_so_far))

    seen_so_far: list[int] = []
    watching = threading.Thread(target=watch)
    watching.start()
    try:
        step = 0
        for _ in range(3):
            append(engine, claimed, losses(step + 1, step + 2))
            step += 2
            last = sequence(engine, claimed.run_id)[-1]
            wait_for("the events to be shown", partial(ends_with, seen_so_far, last), deadline_s=20)
            server.stop()
            wait_for(
                "the lost connection to be reported", lambda: notices[-1:] and "lost" in notices[-1], deadline_s=20
            )
            append(engine, claimed, losses(step + 1))
            step += 1
            server = start_server(settings, port=port)
            wait_for("the restored connection to be reported", lambda: "restored" in notices[-1], deadline_s=20)
        with writing(engine) as session:
            runs.transition(session, runs.get_run(session, claimed.run_id), RunStatus.done, now=9)
        watching.join(30)
        assert not watching.is_alive()
    finally:
        server.stop()
        engine_rows = sequence(engine, claimed.run_id)
        engine.dispose()
    assert seen == engine_rows
    # A server that is shutting down may accept one more connection before it ends.
    assert len(notices) >= 6
    assert [sentence.split(" (")[0] for sentence in notices] == [
        "The connection was lost",
        "The connection was restored.",
    ] * (len(notices) // 2)


def _noted(events: Any, noted: list[int]) -> Any:
    for event in events:
        noted.append(event["seq"])
        yield event


def test_watch_of_an_unknown_run_or_without_a_server_does_not_wait(server: Server) -> None:
    with Client(server.url, TOKEN) as client, pytest.raises(ApiError, match="unknown1"):
        list(client.watch("unknown1"))
    with Client(f"http://127.0.0.1:{free_port()}", TOKEN) as client, pytest.raises(httpx.TransportError):
        list(client.watch("unknown1"))
