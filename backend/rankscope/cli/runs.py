"""Commands for runs: launch, runs, watch, stop, resume, retry, fork, checkpoints, steer, export, bundle."""

import json
from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli.connection import connected
from rankscope.cli.options import AsJson, Changes, RunId, given_changes, read_config
from rankscope.cli.output import event_line, printable, say, show
from rankscope.client import Client
from rankscope.exports.uniform_adapter import Layout


def launch(
    config: Annotated[
        Path,
        typer.Argument(help="A run's configuration as YAML or JSON; - reads standard input.", metavar="CONFIG.yaml"),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag. May be repeated.")] = None,
    watch_it: Annotated[bool, typer.Option("--watch", help="Follow the run until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Queue a run."""
    with connected() as client:
        run = client.launch(read_config(config), name=name, tags=tag)
        show(run, as_json, f"{run['id']}  {run['status']}  {run['name']}")
        if watch_it:
            _watch(client, run["id"], as_json)


def list_runs(
    status: Annotated[list[str] | None, typer.Option(help="Only runs with this status. May be repeated.")] = None,
    search: Annotated[str, typer.Option(help="Only runs with these words in name, model or data.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    with connected() as client:
        page = client.runs(status=status, search=search or None, limit=limit)
    if as_json:
        typer.echo(json.dumps(page, indent=2))
        return
    for run in page["items"]:
        best = run["headline"]["best"]
        say(
            f"{run['id']}  {run['status']:<11}  {run['step']:>6}/{run['total_steps'] or '?':<6}  "
            f"{f'{best:.4f}' if isinstance(best, float) else '-':>7}  {run['name']}"
        )
    if page["total"] > len(page["items"]):
        typer.echo(f"({len(page['items'])} of {page['total']}; --limit shows more)")


def watch(run: RunId, as_json: AsJson = False) -> None:
    """Follow a run's events until it ends."""
    with connected() as client:
        _watch(client, run, as_json)


def stop(
    run: RunId,
    save: Annotated[bool, typer.Option(help="Write a checkpoint first, so that the run can be resumed.")] = True,
    as_json: AsJson = False,
) -> None:
    """Stop a run."""
    with connected() as client:
        answer = client.stop(run, save=save)
    show(answer, as_json, f"{run}  {answer['status']}")


def resume(run: RunId, as_json: AsJson = False) -> None:
    """Queue a stopped or failed run again. It continues from its newest checkpoint."""
    with connected() as client:
        answer = client.resume(run)
    show(answer, as_json, f"{run}  {answer['status']}")


def retry(run: RunId, change: Changes = None, as_json: AsJson = False) -> None:
    """Queue a stopped or failed run again with a smaller memory footprint, e.g. --set training.batch_size=8."""
    with connected() as client:
        answer = client.retry(run, given_changes(change))
    show(answer, as_json, f"{run}  {answer['status']}")


def fork(
    run: RunId,
    step: Annotated[int | None, typer.Option(help="Step of a kept checkpoint. Default: the newest.")] = None,
    change: Changes = None,
    name: Annotated[str | None, typer.Option(help="Name of the new run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start a new run from a checkpoint of another run, with changes."""
    with connected() as client:
        answer = client.fork(run, step=step, changes=given_changes(change), name=name)
    show(answer, as_json, f"{answer['id']}  {answer['status']}  {answer['name']}")


def checkpoints(run: RunId, as_json: AsJson = False) -> None:
    """List a run's kept checkpoints."""
    with connected() as client:
        answer = client.checkpoints(run)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for one in answer["items"]:
        best = "  best" if one["is_best"] else ""
        typer.echo(f"step {one['step']:>7}  attempt {one['attempt']}  {one['size_bytes']:>12,} bytes{best}")


def steer(
    run: RunId,
    action: Annotated[str, typer.Argument(help="hold, release, freeze or target.")],
    target_rank: Annotated[int | None, typer.Argument(help="The new target rank, with action target.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold or release a live run's pruning, freeze its mask, or change its target rank."""
    with connected() as client:
        answer = client.steer(run, action, target_rank=target_rank)
    show(answer, as_json, f"{run}  {action} requested; it takes effect at the end of a step")


def export(
    run: RunId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: adapter-RUN.zip.")
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(help="uniform: for every program that reads LoRA. compact: smaller, for PEFT and transformers."),
    ] = "uniform",
    as_json: AsJson = False,
) -> None:
    """Download the adapter as a zip."""
    target = output or Path(f"adapter-{run}.zip")
    with connected() as client:
        client.export(run, target, layout)
    show({"file": str(target), "size_bytes": target.stat().st_size}, as_json, str(target))


def bundle(
    run: RunId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: RUN-bundle.zip.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download all data of a run as a zip: events, metrics, ledger, logs, report, result."""
    target = output or Path(f"{run}-bundle.zip")
    with connected() as client:
        client.bundle(run, target)
    show({"file": str(target), "size_bytes": target.stat().st_size}, as_json, str(target))


def import_run(
    bundle: Annotated[Path, typer.Argument(help="The zip that `rankscope bundle` wrote.", exists=True, dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Import a run from its bundle, with history, logs and result."""
    with connected() as client:
        answer = client.import_bundle(bundle)
    show(answer, as_json, f"{answer['id']}  {answer['status']}  {answer['name']}")


def _watch(client: Client, run_id: str, as_json: bool) -> None:
    for event in client.watch(
        run_id, notify=lambda sentence: typer.echo(f"rankscope: {printable(sentence)}", err=True)
    ):
        if as_json:
            typer.echo(json.dumps(event))
        elif (line := event_line(event)) is not None:
            say(line)
