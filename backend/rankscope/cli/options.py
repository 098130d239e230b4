"""Options and arguments that several commands take, and how they are read."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rankscope import yaml_text
from rankscope.cli.errors import fail

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
RunId = Annotated[str, typer.Argument(help="A run's id, as `rankscope runs` shows it.", metavar="RUN")]


def read_config(path: Path) -> dict[str, Any]:
    try:
        return yaml_text.read_mapping(path, sys.stdin.buffer)
    except yaml_text.UnreadableText as error:
        fail(error.detail)


def given_changes(given: list[str] | None) -> dict[str, Any]:
    """`training.batch_size=8` as `{"training": {"batch_size": 8}}`; values are YAML."""
    changes: dict[str, Any] = {}
    for text in given or []:
        path, sign, value = text.partition("=")
        if not sign or not all(path.split(".")):
            fail(f"--set {text} is no change: write FIELD=VALUE, for example training.learning_rate=0.001.")
        *parents, name = path.split(".")
        part: Any = changes
        for parent in parents:
            part = part.setdefault(parent, {})
            if not isinstance(part, dict):
                fail(f"--set {text}: another --set gives {parent} a value of its own.")
        try:
            part[name] = yaml_text.parse(value, f"--set {text}")
        except yaml_text.UnreadableText as error:
            fail(error.detail)
    return changes
