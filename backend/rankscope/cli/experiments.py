"""Commands about experiments: list, answer, import, table."""

import json
from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli.connection import connected
from rankscope.cli.errors import OneSentence, fail
from rankscope.cli.options import AsJson
from rankscope.cli.output import say, show
from rankscope.table_text import ENDINGS, TableFormat

experiments = typer.Typer(
    cls=OneSentence, no_args_is_help=True, help="Experiments: does adaptive rank help on your task?"
)

ExperimentId = Annotated[str, typer.Argument(help="As shown by `rankscope experiments list`.", metavar="EXPERIMENT")]


@experiments.command("list")
def list_experiments(as_json: AsJson = False) -> None:
    """List all experiments, the newest first."""
    with connected() as client:
        answer = client.experiments()
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for each in answer["items"]:
        say(f"{each['id']}  {each['status']:<8} {each['trials']['done']:>6,} trials  {each['name']}")


@experiments.command("answer")
def show_answer(
    experiment: ExperimentId,
    task: Annotated[str | None, typer.Option(help="Only comparisons on this task.")] = None,
    budget: Annotated[float | None, typer.Option(help="Only comparisons at this mean rank.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what an experiment says: one sentence per comparison, the strongest first."""
    with connected() as client:
        answer = client.answer(experiment, task=task, budget=budget)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for comparison in answer["comparisons"]:
        if not comparison["is_control"]:
            say(comparison["text"])
    for chain in answer["chains"]:
        say(f"Controls of {chain['method']} at mean rank {chain['budget']:g} on {chain['task']}:")
        for step in chain["steps"]:
            say(f"  {step['text']}")
    for note in answer["notes"]:
        say(f"Note: {note['text']}")


@experiments.command("import")
def import_results(
    file: Annotated[Path, typer.Argument(help="JSON lines: one object for each training.")],
    name: Annotated[str | None, typer.Option(help="Name of the experiment. Default: that of the file.")] = None,
    metric: Annotated[str | None, typer.Option(help="Field with the headline metric.")] = None,
    baseline: Annotated[str | None, typer.Option(help="Variant that the others are compared with.")] = None,
    margin: Annotated[
        float | None, typer.Option(help="Smallest difference that matters, in the metric's unit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import results of trainings made elsewhere."""
    try:
        lines = file.read_bytes()
    except OSError as error:
        fail(f"{file} can't be read: {(error.strerror or str(error)).lower()}.")
    with connected() as client:
        answer = client.import_experiment(
            lines, name=name or file.name[:200], metric=metric, baseline=baseline, margin=margin
        )
    made = answer["experiment"]
    ignored = f"  (not used: {', '.join(answer['ignored_fields'])})" if answer["ignored_fields"] else ""
    show(answer, as_json, f"{made['id']}  {made['trials']['done']:,} trials  {made['name']}{ignored}")


@experiments.command("table")
def table(
    experiment: ExperimentId,
    form: Annotated[TableFormat, typer.Option("--format", help="LaTeX needs the package booktabs.")] = "csv",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download the table for a paper: mean and standard deviation by method, task and budget."""
    target = output or Path(f"experiment-{experiment}.{ENDINGS[form]}")
    with connected() as client:
        client.paper_table(experiment, target, form)
    show({"file": str(target), "size_bytes": target.stat().st_size}, as_json, str(target))
