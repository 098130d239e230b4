"""The output of commands."""

import json
import re
import time

import typer

from rankscope.client import Json

_ACTS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def show(value: object, as_json: bool, line: str) -> None:
    if as_json:
        typer.echo(json.dumps(value, indent=2))
    else:
        say(line)


def say(line: str) -> None:
    """Prints one line with control characters escaped: names and messages may contain terminal control sequences."""
    typer.echo(printable(line))


def printable(text: str) -> str:
    """Returns the text with control characters, line breaks and changes of direction escaped: "\\x1b", "\\u202e"."""
    return "".join(letter if letter == " " or not _ACTS.match(letter) else repr(letter)[1:-1] for letter in text)


def event_line(event: Json) -> str | None:
    """Returns a readable line for an event, or None for events that only charts need."""
    at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    step = f" step {event['step']}" if "step" in event else ""
    match event["kind"]:
        case "status":
            return f"{at}{step} {event['status']}" + (f": {event['message']}" if event.get("message") else "")
        case "metrics":
            evaluated = [f"{name} {value}" for name, value in event["values"].items() if name.startswith("eval_")]
            return f"{at}{step} {' '.join(evaluated)}" if evaluated else None
        case "prune":
            return (
                f"{at}{step} pruned {len(event['pruned'])}, regrown {len(event['regrown'])}, budget {event['budget']}"
            )
        case "steer":
            done = f"refused: {event['refused']}" if event.get("refused") else "done"
            target = f" {event['target_rank']}" if event.get("target_rank") else ""
            return f"{at}{step} steering, {event['action']}{target}: {done}"
        case "warning":
            return f"{at}{step} warning: {event['message']} {event.get('next_step', '')}"
        case "artifact":
            return f"{at}{step} {event['name']} ready, {event['kept_parameters']:,} parameters"
        case _:
            return None
