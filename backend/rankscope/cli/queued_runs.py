"""Commands for queued runs: queue, edit, priority."""

import json
from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli.connection import connected
from rankscope.cli.options import AsJson, RunId, read_config
from rankscope.cli.output import say, show


def queue(
    first: Annotated[
        list[str] | None,
        typer.Option("--first", help="Move this run to the front. May be repeated; the given order is kept."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the queue, the next run first, or move runs to the front."""
    with connected() as client:
        answer = client.queue()
        if first:
            rest = [run["id"] for run in answer["items"] if run["id"] not in first]
            answer = client.reorder([*first, *rest])
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for run in answer["items"]:
        say(
            f"#{run['queue_position']:<4} {run['id']}  {run['status']:<11}  priority {run['priority']:>3}  {run['name']}"
        )


def edit(
    run: RunId,
    config: Annotated[Path, typer.Argument(help="YAML or JSON of the new configuration.", metavar="CONFIG.yaml")],
    as_json: AsJson = False,
) -> None:
    """Replace the configuration of a queued run that has not started yet."""
    with connected() as client:
        answer = client.edit(run, read_config(config))
    show(answer, as_json, f"{run}  {answer['status']}  {answer['name']}")


def priority(run: RunId, value: Annotated[int, typer.Argument(min=-1000, max=1000)], as_json: AsJson = False) -> None:
    """Set a run's priority. Runs with a higher priority start first."""
    with connected() as client:
        answer = client.prioritize(run, value)
    show(answer, as_json, f"{run}  priority {answer['priority']}")
