"""The `rankscope` command. `up`, `api` and `worker` start servers; other commands use a server's REST API."""

from collections.abc import Callable

import typer

from rankscope import __version__
from rankscope.cli.errors import OneSentence
from rankscope.cli.experiments import experiments
from rankscope.cli.installation import api, backup, restore, up, worker
from rankscope.cli.new_experiment import experiment
from rankscope.cli.queued_runs import edit, priority, queue
from rankscope.cli.runs import (
    bundle,
    checkpoints,
    export,
    fork,
    import_run,
    launch,
    list_runs,
    resume,
    retry,
    steer,
    stop,
    watch,
)
from rankscope.cli.sweeps import sweep, sweeps

app = typer.Typer(
    cls=OneSentence,
    no_args_is_help=True,
    help="Adaptive-rank fine-tuning, launched and watched from a browser.",
    add_completion=False,
)


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


_PLAIN: tuple[Callable[..., None], ...] = (
    backup,
    restore,
    version,
    launch,
    list_runs,
    watch,
    stop,
    resume,
    retry,
    fork,
    checkpoints,
    steer,
    queue,
    edit,
    priority,
    export,
    bundle,
    import_run,
    experiment,
    sweep,
)
_NAMES = {list_runs: "runs", import_run: "import"}
"""Of functions that can't have their command's name."""
# In the order of the help.
app.command()(up)
app.command()(api)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(worker)
for command in _PLAIN:
    app.command(name=_NAMES.get(command))(command)
app.add_typer(experiments, name="experiments")
app.add_typer(sweeps, name="sweeps")
