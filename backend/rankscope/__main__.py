"""`python -m rankscope` runs the `rankscope` command."""

from rankscope.cli import app

app()
