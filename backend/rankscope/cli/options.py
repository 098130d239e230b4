"""Options and arguments that several commands share, and how they are parsed."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rankscope import yaml_text
from rankscope.cli.errors import fail

Host = Annotated[str | None, typer.Option(help="Address to listen on. Default: RANKSCOPE_HOST or 127.0.0.1.")]
# A string, so that the settings reject an invalid port in one sentence and with exit code 1, like every start-up error.
Port = Annotated[
    str | None, typer.Option(help="Port to listen on; 0 chooses a free one. Default: RANKSCOPE_PORT or 8123.")
]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder with database, runs and token. Default: RANKSCOPE_DATA_DIR.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="FIELD=VALUE, such as training.learning_rate=0.001. May be repeated.")
]
RunId = Annotated[str, typer.Argument(help="A run's id, as shown by `rankscope runs`.", metavar="RUN")]


def read_config(path: Path) -> dict[str, object]:
    try:
        return yaml_text.read_mapping(path, sys.stdin.buffer)
    except yaml_text.UnreadableText as error:
        fail(error.detail)


def given_changes(given: list[str] | None) -> dict[str, object]:
    """Parses `training.batch_size=8` to `{"training": {"batch_size": 8}}`; values are YAML. Exits with 1 if it is invalid."""
    changes: dict[str, object] = {}
    for text in given or []:
        path, sign, value = text.partition("=")
        if not sign or not all(path.split(".")):
            fail(f"--set {text} is not a valid change. Write FIELD=VALUE, for example training.learning_rate=0.001.")
        *parents, name = path.split(".")
        part: Any = changes
        for parent in parents:
            part = part.setdefault(parent, {})
            if not isinstance(part, dict):
                fail(f"--set {text}: another --set already gives {parent} a value.")
        try:
            part[name] = yaml_text.parse(value, f"--set {text}")
        except yaml_text.UnreadableText as error:
            fail(error.detail)
    return changes
