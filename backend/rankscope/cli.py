"""The command `rankscope`. Servers: up, api, worker. Everything else speaks to a server over its REST API."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from rankscope import __version__, yaml_text
from rankscope.client import Client
from rankscope.contract.errors import RankScopeError, StartupError
from rankscope.data_folder import keep_files_private
from rankscope.exports.uniform_adapter import Layout
from rankscope.settings import Settings, read_settings
from rankscope.store.database.readiness import line_of


class _OneSentence(typer.core.TyperGroup):
    """A usage error is one sentence and exit code 1, like everything else that keeps a command from starting."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if not args:  # prints the help
            return super().make_context(info_name, args, parent, **extra)
        with _usage():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _usage():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_OneSentence,
    no_args_is_help=True,
    help="Adaptive-rank fine-tuning, launched and watched from a browser.",
    add_completion=False,
)

Host = Annotated[str | None, typer.Option(help="Address to listen on. Default: RANKSCOPE_HOST or 127.0.0.1.")]
# As text: the settings refuse what is no port, in one sentence and with exit code 1, as all that keeps a server from starting.
Port = Annotated[
    str | None, typer.Option(help="Port to listen on; 0 takes a free one. Default: RANKSCOPE_PORT or 8123.")
]
DataDir = Annotated[Path | None, typer.Option(help="Folder for database, runs and token. Default: RANKSCOPE_DATA_DIR.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="FIELD=VALUE, e.g. training.learning_rate=0.001; may be repeated.")
]
_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
RunId = Annotated[str, typer.Argument(help="A run's id, as `rankscope runs` shows it.", metavar="RUN")]


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    demo: Annotated[bool, typer.Option(help="Queue the demo run at the first start.")] = True,
) -> None:
    """Everything on this machine: Valkey, database, one worker, API and page. Ctrl-C ends it cleanly."""
    with _starting():
        settings = _settings(host, port, data_dir)  # before the imports, which take a second
        from rankscope.up import up as serve

        serve(settings, with_demo=demo, echo=typer.echo)


@app.command()
def api(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Only the API and the page; database and broker by RANKSCOPE_DATABASE_URL and RANKSCOPE_BROKER_URL."""
    with _starting():
        settings = _settings(host, port, data_dir)
        from rankscope.serve import serve_api

        serve_api(settings, echo=typer.echo)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def worker(context: typer.Context) -> None:
    """A worker of this host: takes queued runs and trains them (--slots N, --name NAME)."""
    os.execv(sys.executable, [sys.executable, "-m", "rankscope_worker", *context.args])


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, for example rankscope.tar.gz.")],
    files: Annotated[bool, typer.Option(help="Also logs, checkpoints and results of the runs.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write database and runs into one file, while everything runs. Works on this machine's data folder and database."""
    from rankscope.backup import write_backup

    with _starting():
        note = write_backup(_settings(None, None, data_dir), file, with_files=files)
    size = file.stat().st_size
    line = f"{file}: {note.runs} runs, {note.events:,} events, {size / 1e6:,.1f} MB"
    _show(asdict(note) | {"size_bytes": size}, as_json, line)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `rankscope backup` has written.")],
    replace: Annotated[bool, typer.Option(help="Remove the runs that are there; their files are set aside.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into this machine's database and data folder, which hold no runs yet."""
    from rankscope.restore import restore_backup

    with _starting():
        note = restore_backup(_settings(None, None, data_dir), file, replace=replace)
    _show(asdict(note), as_json, f"{note.runs} runs and {note.events:,} events are back.")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def launch(
    config: Annotated[
        Path,
        typer.Argument(help="YAML or JSON of a run's configuration; - reads standard input.", metavar="CONFIG.yaml"),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    watch_it: Annotated[bool, typer.Option("--watch", help="Follow the run until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue a run."""
    with _client() as client:
        run = client.launch(_read_config(config), name=name, tags=tag)
        _show(run, as_json, f"{run['id']}  {run['status']}  {run['name']}")
        if watch_it:
            _watch(client, run["id"], as_json)


@app.command(name="runs")
def list_runs(
    status: Annotated[
        list[str] | None, typer.Option(help="Only runs with this status; may be given several times.")
    ] = None,
    search: Annotated[str, typer.Option(help="Only runs with these words in name, model or data.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    with _client() as client:
        page = client.runs(status=status, search=search or None, limit=limit)
    if as_json:
        typer.echo(json.dumps(page, indent=2))
        return
    for run in page["items"]:
        best = run["headline"]["best"]
        _say(
            f"{run['id']}  {run['status']:<11}  {run['step']:>6}/{run['total_steps'] or '?':<6}  "
            f"{f'{best:.4f}' if isinstance(best, float) else '-':>7}  {run['name']}"
        )
    if page["total"] > len(page["items"]):
        typer.echo(f"({len(page['items'])} of {page['total']}; --limit shows more)")


@app.command()
def watch(run: RunId, as_json: AsJson = False) -> None:
    """Follow a run's events until it ends."""
    with _client() as client:
        _watch(client, run, as_json)


@app.command()
def stop(
    run: RunId,
    save: Annotated[bool, typer.Option(help="Write a checkpoint first, to resume from.")] = True,
    as_json: AsJson = False,
) -> None:
    """Stop a run."""
    with _client() as client:
        answer = client.stop(run, save=save)
    _show(answer, as_json, f"{run}  {answer['status']}")


@app.command()
def resume(run: RunId, as_json: AsJson = False) -> None:
    """Queue a stopped or failed run again; it goes on from its newest checkpoint."""
    with _client() as client:
        answer = client.resume(run)
    _show(answer, as_json, f"{run}  {answer['status']}")


@app.command()
def retry(run: RunId, change: Changes = None, as_json: AsJson = False) -> None:
    """Queue a stopped or failed run again in other pieces, e.g. --set training.batch_size=8."""
    with _client() as client:
        answer = client.retry(run, _changes(change))
    _show(answer, as_json, f"{run}  {answer['status']}")


@app.command()
def fork(
    run: RunId,
    step: Annotated[int | None, typer.Option(help="Of a kept checkpoint. Default: the newest.")] = None,
    change: Changes = None,
    name: Annotated[str | None, typer.Option(help="Name of the new run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start a new run from a checkpoint of another, with changes."""
    with _client() as client:
        answer = client.fork(run, step=step, changes=_changes(change), name=name)
    _show(answer, as_json, f"{answer['id']}  {answer['status']}  {answer['name']}")


@app.command()
def checkpoints(run: RunId, as_json: AsJson = False) -> None:
    """List the checkpoints of a run that are kept."""
    with _client() as client:
        answer = client.checkpoints(run)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for one in answer["items"]:
        best = "  best" if one["is_best"] else ""
        typer.echo(f"step {one['step']:>7}  attempt {one['attempt']}  {one['size_bytes']:>12,} bytes{best}")


@app.command()
def steer(
    run: RunId,
    action: Annotated[str, typer.Argument(help="hold, release, freeze or target.")],
    target_rank: Annotated[int | None, typer.Argument(help="The new target rank, with action target.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold or release the pruning of a live run, freeze its mask, or change its target rank."""
    with _client() as client:
        answer = client.steer(run, action, target_rank=target_rank)
    _show(answer, as_json, f"{run}  asked to {action}; the training answers at the end of a step")


@app.command()
def queue(
    first: Annotated[
        list[str] | None, typer.Option("--first", help="Put this run first; several keep the order given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the runs that wait, the next one first, or bring some to the front."""
    with _client() as client:
        answer = client.queue()
        if first:
            rest = [run["id"] for run in answer["items"] if run["id"] not in first]
            answer = client.reorder([*first, *rest])
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for run in answer["items"]:
        _say(
            f"#{run['queue_position']:<4} {run['id']}  {run['status']:<11}  priority {run['priority']:>3}  {run['name']}"
        )


@app.command()
def edit(
    run: RunId,
    config: Annotated[Path, typer.Argument(help="YAML or JSON of the new configuration.", metavar="CONFIG.yaml")],
    as_json: AsJson = False,
) -> None:
    """Give a run that waits for its first start another configuration."""
    with _client() as client:
        answer = client.edit(run, _read_config(config))
    _show(answer, as_json, f"{run}  {answer['status']}  {answer['name']}")


@app.command()
def priority(run: RunId, value: Annotated[int, typer.Argument(min=-1000, max=1000)], as_json: AsJson = False) -> None:
    """Set a run's priority: higher ones start first."""
    with _client() as client:
        answer = client.prioritize(run, value)
    _show(answer, as_json, f"{run}  priority {answer['priority']}")


@app.command()
def export(
    run: RunId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: adapter-RUN.zip.")
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(help="uniform: for every reader of LoRA. compact: smaller, for PEFT and transformers."),
    ] = "uniform",
    as_json: AsJson = False,
) -> None:
    """Download the adapter as a zip."""
    target = output or Path(f"adapter-{run}.zip")
    with _client() as client:
        client.export(run, target, layout)
    _show({"file": str(target), "size_bytes": target.stat().st_size}, as_json, str(target))


@app.command()
def bundle(
    run: RunId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: RUN-bundle.zip.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download everything of a run as a zip: events, metrics, ledger, logs, report, result."""
    target = output or Path(f"{run}-bundle.zip")
    with _client() as client:
        client.bundle(run, target)
    _show({"file": str(target), "size_bytes": target.stat().st_size}, as_json, str(target))


def _watch(client: Client, run_id: str, as_json: bool) -> None:
    for event in client.watch(run_id, tell=lambda sentence: typer.echo(f"rankscope: {printable(sentence)}", err=True)):
        if as_json:
            typer.echo(json.dumps(event))
        elif (line := _event_line(event)) is not None:
            _say(line)


def _event_line(event: dict[str, Any]) -> str | None:
    """A line for a person, or None for what only charts need."""
    at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    step = f" step {event['step']}" if "step" in event else ""
    match event["kind"]:
        case "status":
            return f"{at}{step} {event['status']}" + (f": {event['message']}" if event.get("message") else "")
        case "metrics":
            evaluated = [f"{name} {value}" for name, value in event["values"].items() if name.startswith("eval_")]
            return f"{at}{step} {' '.join(evaluated)}" if evaluated else None
        case "prune":
            return f"{at}{step} pruned {len(event['pruned'])}, back {len(event['regrown'])}, budget {event['budget']}"
        case "steer":
            done = f"refused: {event['refused']}" if event.get("refused") else "done"
            target = f" {event['target_rank']}" if event.get("target_rank") else ""
            return f"{at}{step} steering, {event['action']}{target}: {done}"
        case "warning":
            return f"{at}{step} warning: {event['message']} {event.get('next_step', '')}"
        case "artifact":
            return f"{at}{step} {event['name']} ready, {event['kept_parameters']:,} parameters"
        case _:
            return None


def _changes(given: list[str] | None) -> dict[str, Any]:
    """`training.batch_size=8` as `{"training": {"batch_size": 8}}`; values are YAML."""
    changes: dict[str, Any] = {}
    for text in given or []:
        path, sign, value = text.partition("=")
        if not sign or not all(path.split(".")):
            _fail(f"--set {text} is no change: write FIELD=VALUE, for example training.learning_rate=0.001.")
        *parents, name = path.split(".")
        part: Any = changes
        for parent in parents:
            part = part.setdefault(parent, {})
            if not isinstance(part, dict):
                _fail(f"--set {text}: another --set gives {parent} a value of its own.")
        try:
            part[name] = yaml_text.parse(value, f"--set {text}")
        except yaml_text.UnreadableText as error:
            _fail(error.detail)
    return changes


def _show(value: Any, as_json: bool, line: str) -> None:
    if as_json:
        typer.echo(json.dumps(value, indent=2))
    else:
        _say(line)


def _say(line: str) -> None:
    """One printable line: names and messages may contain terminal control sequences."""
    typer.echo(printable(line))


def printable(text: str) -> str:
    """The text with control characters, line breaks and changes of direction written out: "\\x1b", "\\u202e"."""
    return "".join(letter if letter == " " or not _ACTS.match(letter) else repr(letter)[1:-1] for letter in text)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return yaml_text.read_mapping(path, sys.stdin.buffer)
    except yaml_text.UnreadableText as error:
        _fail(error.detail)


def _settings(host: str | None, port: str | None, data_dir: Path | None) -> Settings:
    return read_settings(host=host, port=port, data_dir=data_dir)


@contextmanager
def _client() -> Iterator[Client]:
    """A client from RANKSCOPE_URL and RANKSCOPE_TOKEN, else for this machine's own server."""
    with _one_sentence():
        settings = read_settings()
        token_file = settings.data_dir / "token"
        token = settings.token or (token_file.read_text(encoding="utf-8").strip() if token_file.is_file() else "")
        if not (token.isascii() and token.isprintable()):
            _fail("The token has characters that no token has; look at RANKSCOPE_TOKEN.")
        url = os.environ.get("RANKSCOPE_URL") or f"http://{settings.host}:{settings.port}"
        try:
            with Client(url, token) as client:
                yield client
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            _fail(f"RANKSCOPE_URL is {url!r}, which is not an address ({error}). Write it as http://127.0.0.1:8123.")
        except httpx.TransportError as error:
            _fail(
                f"No RankScope server answers at {url} ({error}). Start one with `rankscope up`, or set RANKSCOPE_URL."
            )


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Turns an expected error into its sentence on standard error and exit code 1."""
    try:
        yield
    except (RankScopeError, StartupError) as error:
        _fail(error.detail)
    except UnicodeError as error:
        _fail(f"A text is not UTF-8 ({error.reason if hasattr(error, 'reason') else error}).")
    except BrokenPipeError:
        raise  # of `rankscope runs | head`: typer ends quietly
    except OSError as error:
        _fail(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.")
    except httpx.RequestError as error:
        _fail(f"The server's answer cannot be read: {error}.")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextmanager
def _starting() -> Iterator[None]:
    """`_one_sentence` for what works on this machine's data folder and database; their files are for its owner alone."""
    keep_files_private()
    with _one_sentence():
        try:
            yield
        except (OSError, SQLAlchemyError, RedisError) as error:
            raise StartupError(f"RankScope cannot go on ({type(error).__name__}: {line_of(error)}).") from error


# Typer has a copy of click of its own, whose classes it does not name in public.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


@contextmanager
def _usage() -> Iterator[None]:
    """Turns an unknown option, a missing argument or an unusable value into one sentence and exit code 1."""
    try:
        yield
    except _UsageError as error:
        problem = " ".join(error.format_message().split()).rstrip(".")
        command = error.ctx.command_path if error.ctx else "rankscope"
        _fail(f"{problem}. Run `{command} --help` to see what it accepts.")


def _fail(sentence: str) -> NoReturn:
    # Line breaks are ours: each problem of a refusal has a line of its own.
    typer.echo("rankscope: " + "\n".join(printable(line) for line in sentence.split("\n")), err=True)
    raise typer.Exit(1)
