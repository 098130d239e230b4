"""The fields by which runs are filtered, sorted and shown: a fixed set, except for the names of metrics."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal

from rankscope.contract.config import RunConfig
from rankscope.contract.metrics import EVALUATION, describe
from rankscope.contract.status import RunStatus
from rankscope.contract.tasks import TASKS

Kind = Literal["number", "integer", "text", "choice", "boolean", "time", "tags"]

METRIC_PARTS = {
    "last": "the newest value",
    "best": "the best value: the smallest or the largest, as fits the metric",
    "min": "the smallest value",
    "max": "the largest value",
    "last_step": "the step of the newest value",
    "best_step": "the step of the best value",
    "min_step": "the step of the smallest value",
    "max_step": "the step of the largest value",
}
AT_STEP = re.compile(r"at_(0|[1-9]\d{0,8})")
"""One more part, of metrics of evaluations: `at_200` is the value at step 200."""


@dataclass(frozen=True)
class Field:
    name: str
    kind: Kind
    title: str
    description: str = ""
    choices: tuple[str, ...] = ()
    is_sortable: bool = True
    config_path: str | None = None
    """For a value of the configuration: its path."""
    metric: str | None = None
    """For a value of a metric: the metric's name. `part` is a key of METRIC_PARTS, or `at_STEP` with this `at_step`."""
    part: str = "last"
    at_step: int | None = None
    lower_is_better: bool = False

    @property
    def is_numeric(self) -> bool:
        return self.kind in ("number", "integer", "time")


@cache
def own_fields() -> dict[str, Field]:
    """The fields of a run that are neither of its configuration nor metrics."""
    text, integer, time = "text", "integer", "time"
    rows: list[tuple[str, Any, str, str]] = [
        ("name", text, "Name", ""),
        ("id", text, "Id", ""),
        ("status", "choice", "Status", ""),
        ("method", "choice", "Method", ""),
        ("task", "choice", "Task", ""),
        ("model", text, "Model", ""),
        ("data", text, "Data", ""),
        ("tag", "tags", "Tags", "A run can have several tags; a condition holds if one of them meets it."),
        ("project", text, "Project", ""),
        ("notes", text, "Notes", ""),
        ("archived", "boolean", "Archived", "Archived runs are left out unless the filter names this field."),
        ("created", time, "Created", ""),
        ("started", time, "Started", ""),
        ("ended", time, "Ended", ""),
        ("updated", time, "Updated", "When the run last recorded anything."),
        ("duration", "number", "Duration", "Seconds from its first start to its end."),
        ("step", integer, "Step", ""),
        ("total_steps", integer, "Steps in total", ""),
        ("progress", "number", "Progress", "Share of the steps that are done, from 0 to 1."),
        ("priority", integer, "Priority", ""),
        ("attempt", integer, "Attempts", ""),
        ("live", integer, "Live components", ""),
        ("budget", integer, "Budget", "Components after the last pruning, as planned."),
        ("modules", integer, "Adapted modules", ""),
        ("mean_rank", "number", "Mean rank", "Live components per module."),
        ("trained_parameters", "number", "Trained parameters", ""),
        ("kept_parameters", "number", "Kept parameters", ""),
        ("headline", "number", "Headline metric", "The best value of the metric that the run is judged by."),
        ("worker", text, "Worker", ""),
        ("reason", text, "Reason", "Why the run ended, as a code."),
        ("parent", text, "Forked from", "The id of the run that it was forked from."),
        ("sweep", text, "Sweep", "The id of the sweep that it was launched for."),
        ("setup", text, "Setup", "Equal for runs whose configurations differ only in the seed."),
    ]
    choices = {
        "status": tuple(status.value for status in RunStatus),
        "method": _choices_of("method"),
        "task": tuple(TASKS),
    }
    return {
        name: Field(
            name,
            kind,
            title,
            description,
            choices=choices.get(name, ()),
            is_sortable=name not in ("tag", "notes"),
            config_path="setup" if name == "setup" else None,
        )
        for name, kind, title, description in rows
    }


OLD_NAMES = {"created_at": "created", "model_id": "model", "data_id": "data", "accuracy": "headline"}
"""Sort keys of earlier versions -> current names."""


@cache
def config_fields() -> dict[str, Field]:
    """The fields `config.PATH`: every value that a configuration of any method and task can have."""
    schema = RunConfig.model_json_schema()
    found: dict[str, list[dict[str, Any]]] = {}
    for path, leaf in _leaves(schema, schema["$defs"], ""):
        found.setdefault(path, []).append(leaf)
    fields = {}
    for path, leaves in found.items():
        if path == "steering":
            continue
        types = {kind for leaf in leaves for kind in _types(leaf)} - {"null"}
        choices = tuple(dict.fromkeys(choice for leaf in leaves for choice in _enum(leaf)))
        kind: Kind = "text"
        if types <= {"integer", "number"} and types:
            kind = "integer" if types == {"integer"} else "number"
        elif types == {"boolean"}:
            kind = "boolean"
        elif choices:
            kind = "choice"
        leaf = leaves[0]
        name = f"config.{path}"
        fields[name] = Field(
            name, kind, leaf.get("title", path), leaf.get("description", ""), choices=choices, config_path=path
        )
    return fields


def _choices_of(part: str) -> tuple[str, ...]:
    return config_fields()[f"config.{part}.name"].choices


def _leaves(node: Mapping[str, Any], defs: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, schema) of each value that is not an object itself; several with the same path where there are variants."""
    if "$ref" in node:
        yield from _leaves(defs[node["$ref"].rpartition("/")[2]], defs, path)
        return
    variants = [each for key in ("anyOf", "oneOf", "allOf") for each in node.get(key, ())]
    if "properties" in node:
        for name, child in node["properties"].items():
            yield from _leaves(child, defs, f"{path}.{name}" if path else name)
    elif any(_is_object(each, defs) for each in variants):
        for each in variants:
            if _is_object(each, defs):
                yield from _leaves(each, defs, path)
    elif path:
        yield path, {key: value for key, value in node.items() if key != "default"}


def _is_object(node: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    return "properties" in (defs[node["$ref"].rpartition("/")[2]] if "$ref" in node else node)


def _types(leaf: Mapping[str, Any]) -> set[str]:
    inner = {kind for key in ("anyOf", "oneOf") for each in leaf.get(key, ()) for kind in _types(each)}
    return inner | ({str(leaf["type"])} if "type" in leaf else set())


def _enum(leaf: Mapping[str, Any]) -> list[str]:
    inner = [choice for key in ("anyOf", "oneOf") for each in leaf.get(key, ()) for choice in _enum(each)]
    own = leaf.get("enum", [leaf["const"]] if "const" in leaf else [])
    return [*(str(choice) for choice in own if choice is not None), *inner]


_STEP = re.compile(r'"([^"\x00]{1,100})"|([^."\s()=<>!~,\x00]+)')


def split_name(name: str) -> list[str] | None:
    """The parts of a dotted name; a part may be quoted: `metrics."eval f1".max`. None if it is not such a name."""
    parts, at = [], 0
    while True:
        found = _STEP.match(name, at)
        if not found:
            return None
        parts.append(found[1] or found[2])
        at = found.end()
        if at == len(name):
            return parts
        if name[at] != ".":
            return None
        at += 1


@cache
def _directions() -> dict[str, bool]:
    return {metric.name: metric.lower_is_better for kind in TASKS.values() for metric in kind.described()}


def described_metrics() -> list[str]:
    """The metrics that some task describes."""
    return [name for name in _directions() if "*" not in name]


def metric_field(metric: str, part: str = "last") -> Field:
    lower = _directions().get(metric)
    description = describe(metric)
    at = AT_STEP.fullmatch(part)
    about = f"the value of the evaluation at step {at[1]}" if at else METRIC_PARTS[part]
    plain = re.fullmatch(r"[^.\"\s()=<>!~,]+", metric)
    return Field(
        f"metrics.{metric if plain else chr(34) + metric + chr(34)}.{part}",
        "integer" if part.endswith("_step") else "number",
        f"{description.title} ({part.replace('_', ' ')})",
        f"{description.title}: {about}.",
        metric=metric,
        part=part,
        at_step=int(at[1]) if at else None,
        lower_is_better=description.lower_is_better if lower is None else lower,
    )


def find_field(name: str) -> Field | None:
    """The field with this name, also in the form of earlier versions. Any name of a metric is accepted."""
    name = OLD_NAMES.get(name, name)
    field = own_fields().get(name) or config_fields().get(name)
    if field is not None:
        return field
    parts = split_name(name)
    if parts and parts[0] == "metrics" and len(parts) > 1:
        *middle, last = parts[1:]
        if middle and AT_STEP.fullmatch(last):
            return metric_field(".".join(middle), last) if middle[0].startswith(EVALUATION) else None
        if middle and last in METRIC_PARTS:
            return metric_field(".".join(middle), last)
        return metric_field(".".join(parts[1:]))
    return None


def hint_for(name: str, metrics: Collection[str] = ()) -> str:
    """Suggests fields for a name that is not one; empty if nothing resembles it."""
    parts = split_name(name) or [""]
    if parts[0] == "metrics" and AT_STEP.fullmatch(parts[-1]):
        return "Only metrics of evaluations, which begin with eval_, have values at a step."
    near = _nearest_names(name, metrics)
    more, last = ", ".join(near[:-1]), near[-1] if near else ""
    return f"Did you mean {more} or {last}?" if more else f"Did you mean {last}?" if last else ""


def _nearest_names(name: str, metrics: Collection[str]) -> list[str]:
    """Up to three names of fields that resemble this one."""
    names = [*own_fields(), *config_fields(), *(metric_field(metric, "best").name for metric in metrics)]
    close = get_close_matches(name, names, 3, 0.6)
    if not close and "." not in name:
        close = [each for each in names if each.rpartition(".")[2] == name][:3]
    tail = name.rpartition(".")[2]
    return close or [each for each in names if tail and tail in each][:3]
