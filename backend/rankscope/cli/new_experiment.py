"""Commands that launch and steer experiments."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from rankscope.cli.connection import connected
from rankscope.cli.errors import fail
from rankscope.cli.experiments import ExperimentId, experiments
from rankscope.cli.options import AsJson, read_config
from rankscope.cli.output import say, show
from rankscope.client import Json


def experiment(
    file: Annotated[
        Path,
        typer.Argument(help="An experiment as YAML or JSON; - reads standard input.", metavar="FILE.yaml"),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the experiment. Default: that in the file.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show how many runs it makes. Launches nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Launch an experiment: does adaptive rank help on your task?"""
    request: Json = dict(read_config(file))
    request["name"] = name or request.get("name") or file.stem[:200]
    with connected() as client:
        if plan:
            _show_plan(client.plan_experiment(request), as_json)
            return
        made = client.launch_experiment(request)
    counts = made["trials"]
    total = sum(counts.values())
    show(made, as_json, f"{made['id']}  {made['status']}  {total:,} runs planned so far  {made['name']}")


def _show_plan(verdict: Json, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(verdict, indent=2))
        return
    if verdict["plan"] is None:
        fail("\n".join(f"{one['field']}: {one['message']} {one['next_step']}" for one in verdict["problems"]))
    plan = verdict["plan"]
    for item in plan["items"]:
        say(f"{item['tuning']:>5} to tune  {item['test']:>5} to test  {item['variant']}")
    time = "" if plan["total_s"] is None else f", about {plan['total_s'] / 60:,.0f} minutes"
    say(f"{plan['trials']:,} runs{time}")


@experiments.command("change")
def change(
    experiment: ExperimentId,
    action: Annotated[Literal["pause", "resume", "stop"], typer.Argument()],
    as_json: AsJson = False,
) -> None:
    """Pause, resume or stop an experiment."""
    with connected() as client:
        answer = client.change_experiment(experiment, action)
    show(answer, as_json, f"{experiment}  {answer['status']}")


@experiments.command("extend")
def extend(
    experiment: ExperimentId,
    seed: Annotated[list[int], typer.Option(help="A new seed. May be repeated.")],
    as_json: AsJson = False,
) -> None:
    """Add seeds to an experiment."""
    with connected() as client:
        answer = client.extend_experiment(experiment, seed)
    show(answer, as_json, f"{experiment}  {answer['status']}  {answer['seeds']} seeds")
