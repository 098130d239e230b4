"""Commands about sweeps: launch, list, leaderboard, steer, extend, table."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from rankscope.cli.connection import connected
from rankscope.cli.errors import OneSentence, fail
from rankscope.cli.options import AsJson, read_config
from rankscope.cli.output import say, show
from rankscope.client import Json
from rankscope.table_text import ENDINGS, TableFormat

sweeps = typer.Typer(cls=OneSentence, no_args_is_help=True, help="Sweeps: which values are best?")

SweepId = Annotated[str, typer.Argument(help="As shown by `rankscope sweeps list`.", metavar="SWEEP")]


def sweep(
    file: Annotated[Path, typer.Argument(help="A sweep as YAML or JSON; - reads standard input.", metavar="FILE.yaml")],
    name: Annotated[str | None, typer.Option(help="Name of the sweep. Default: that in the file.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show how many runs it makes. Launches nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Launch a sweep: train a configuration with several values of some fields, and rank the results."""
    request: Json = dict(read_config(file))
    request["name"] = name or request.get("name") or file.stem[:200]
    with connected() as client:
        if plan:
            _show_plan(client.plan_sweep(request), as_json)
            return
        made = client.launch_sweep(request)
    show(made, as_json, f"{made['id']}  {made['status']}  {made['expected_trials']:,} runs  {made['name']}")


def _show_plan(verdict: Json, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(verdict, indent=2))
        return
    if verdict["plan"] is None:
        fail("\n".join(f"{one['field']}: {one['message']} {one['next_step']}" for one in verdict["problems"]))
    plan = verdict["plan"]
    for values in plan["examples"]:
        say("  ".join(f"{field} {value}" for field, value in values.items()))
    if plan["points"] > len(plan["examples"]):
        say("...")
    if plan["rungs"]:
        say(f"Points are compared at step {', '.join(f'{step:,}' for step in plan['rungs'])}.")
    time = "" if plan["total_s"] is None else f", about {plan['total_s'] / 60:,.0f} minutes"
    say(f"{plan['points']:,} points, {plan['trials']:,} runs{time}")


@sweeps.command("list")
def list_sweeps(as_json: AsJson = False) -> None:
    """List the newest sweeps."""
    with connected() as client:
        answer = client.sweeps()
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for each in answer["items"]:
        best = "" if each["best"] is None else f"  best {each['best']['mean']:.4g}"
        ended = sum(each["trials"][status] for status in ("done", "pruned", "failed"))
        say(f"{each['id']}  {each['status']:<8} {ended:>5,} of {each['expected_trials']:,} runs{best}  {each['name']}")


@sweeps.command("leaderboard")
def leaderboard(
    sweep: SweepId,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Number of points.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Print the points, the best first: rank, mean, standard deviation, runs, values."""
    with connected() as client:
        answer = client.leaderboard(sweep, limit=limit)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for one in answer["items"]:
        rank = one["status"] if one["rank"] is None else f"{one['rank']}."
        mean = "" if one["mean"] is None else f"{one['mean']:.4g}"
        sd = "" if one["sd"] is None else f"± {one['sd']:.2g}"
        values = "  ".join(f"{field} {value}" for field, value in one["values"].items())
        say(f"{rank:<8} {mean:>8} {sd:<9} n {one['n']}  {values}")


@sweeps.command("change")
def change(
    sweep: SweepId, action: Annotated[Literal["pause", "resume", "stop"], typer.Argument()], as_json: AsJson = False
) -> None:
    """Pause, resume or stop a sweep."""
    with connected() as client:
        answer = client.change_sweep(sweep, action)
    show(answer, as_json, f"{sweep}  {answer['status']}")


@sweeps.command("extend")
def extend(
    sweep: SweepId,
    points: Annotated[int | None, typer.Option(help="More points.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="A new seed of every point. May be repeated.")] = None,
    hours: Annotated[float | None, typer.Option(help="More time, if it is limited.")] = None,
    runs: Annotated[int | None, typer.Option(help="More runs, if they are limited.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add points, seeds, time or runs to a sweep."""
    given = {"points": points, "seeds": seed or None, "hours": hours, "runs": runs}
    with connected() as client:
        answer = client.extend_sweep(sweep, **{name: value for name, value in given.items() if value is not None})
    show(answer, as_json, f"{sweep}  {answer['status']}  {answer['expected_trials']:,} runs")


@sweeps.command("table")
def table(
    sweep: SweepId,
    form: Annotated[TableFormat, typer.Option("--format", help="LaTeX needs the package booktabs.")] = "csv",
    rows: Annotated[str | None, typer.Option(help="Parameter of the rows of a matrix, such as method.name.")] = None,
    columns: Annotated[list[str] | None, typer.Option(help="Parameter of its columns. May be repeated.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download all points, or a matrix with the best point for each combination of some parameters."""
    target = output or Path(f"sweep-{sweep}.{ENDINGS[form]}")
    with connected() as client:
        client.sweep_table(sweep, target, form, rows=rows, columns=columns or [])
    show({"file": str(target), "size_bytes": target.stat().st_size}, as_json, str(target))
