"""`python -m rankscope` is the command `rankscope`."""

from rankscope.cli import app

app()
