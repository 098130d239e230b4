"""Reads the lines of an import. Each line is one trial, as a flat JSON object; every problem names its line and field."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rankscope.contract.errors import FieldProblem
from rankscope.contract.experiments.design import Collapse, TrialPurpose

MAX_LINES = 20_000
MAX_LINE_CHARACTERS = 2_000_000
MAX_MODULES = 10_000
MAX_METRICS = 200
_LARGEST = 2**53

# Our name of a field -> the names that lines may use for it; the first one found is used.
NAMES: Mapping[str, tuple[str, ...]] = {
    "variant": ("variant", "name", "method"),
    "task": ("task", "dataset", "data"),
    "purpose": ("purpose", "part"),
    "budget": ("budget", "rank", "mean_rank"),
    "seed": ("seed",),
    "learning_rate": ("learning_rate", "lr"),
    "kept_parameters": ("kept_parameters", "kept"),
    "ranks": ("ranks",),
    "options": ("options",),
    "scores": ("scores",),
    "collapse": ("collapse",),
    "metrics": ("metrics",),
}
_KNOWN = {name for names in NAMES.values() for name in names}
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


@dataclass(frozen=True)
class ImportedLine:
    line: int
    variant: str
    task: str
    purpose: TrialPurpose
    budget: float
    seed: int
    learning_rate: float | None
    kept_parameters: int | None
    ranks: list[int] | dict[str, int] | None
    options: dict[str, Any]
    scores: list[float] | None
    collapse: Collapse | None
    metrics: dict[str, float]
    """May be NaN or infinite."""
    ignored: frozenset[str] = field(default_factory=frozenset)
    """Names of fields that are neither known nor numbers."""


def json_objects(text: str) -> Iterator[tuple[int, dict[str, Any] | FieldProblem]]:
    """Yields each line that is not empty with its number, as an object or as the problem with it."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        at = f"line {number}"
        if len(line) > MAX_LINE_CHARACTERS:
            message = f"has {len(line):,} characters; at most {MAX_LINE_CHARACTERS:,} can be read"
            yield number, FieldProblem(at, None, message, "Shorten it.")
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            where = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
            message = f"is not valid JSON{where}"
            yield number, FieldProblem(at, line[:200], message, "Write one JSON object per line.")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            yield number, FieldProblem(at, value, "is not a JSON object", "Write one JSON object per line.")


class LineReader:
    """Reads one object, and collects its problems."""

    def __init__(self, number: int, given: Mapping[str, Any]) -> None:
        self._number, self._given = number, given
        self.problems: list[FieldProblem] = []

    def read(self) -> ImportedLine | None:
        """Returns the trial, or None if there are problems."""
        own = {name: value for name, value in self._given.items() if name not in _KNOWN}
        metrics = {name: number for name, value in own.items() if (number := _number(value)) is not None}
        metrics |= self._metrics()
        line = ImportedLine(
            line=self._number,
            variant=self._label("variant"),
            task=self._label("task", "results"),
            purpose=self._choice("purpose", TrialPurpose, TrialPurpose.test) or TrialPurpose.test,
            budget=self._amount("budget") or 0.0,
            seed=self._integer("seed", required=True) or 0,
            learning_rate=self._amount("learning_rate", required=False),
            kept_parameters=self._integer("kept_parameters", least=0),
            ranks=self._ranks(),
            options=self._options(),
            scores=self._scores(),
            collapse=self._choice("collapse", Collapse, None),
            metrics=metrics,
            ignored=frozenset(own.keys() - metrics.keys()),
        )
        if len(metrics) > MAX_METRICS:
            self._refuse("metrics", len(metrics), f"has {len(metrics):,} numbers", f"Keep at most {MAX_METRICS}.")
        return None if self.problems else line

    def _find(self, name: str) -> tuple[str, Any]:
        """Returns the name that the line uses for a field, and its value."""
        return next(
            ((other, self._given[other]) for other in NAMES[name] if self._given.get(other) is not None), (name, None)
        )

    def _refuse(self, name: str, value: object, message: str, next_step: str) -> None:
        self.problems.append(FieldProblem(f"line {self._number}: {name}", value, message, next_step))

    def _label(self, name: str, default: str | None = None) -> str:
        used, value = self._find(name)
        if value is None and default is not None:
            return default
        if value is None:
            also = " or ".join(NAMES[name])
            self._refuse(name, None, "is missing", f"Give every line a text in {also}.")
        elif not isinstance(value, str) or not value.strip():
            self._refuse(used, value, "is not a text", "Write a name in quotes.")
        elif len(value) > 100:
            self._refuse(used, value, f"has {len(value):,} characters", "Use at most 100.")
        else:
            return value.strip()
        return ""

    def _choice(self, name: str, choices: Any, default: Any) -> Any:
        used, value = self._find(name)
        if value is None:
            return default
        if isinstance(value, str) and value in [str(each) for each in choices]:
            return choices(value)
        self._refuse(used, value, f"is {value!r}", f"Use {' or '.join(str(each) for each in choices)}.")
        return default

    def _amount(self, name: str, *, required: bool = True) -> float | None:
        used, value = self._find(name)
        if value is None:
            if required:
                self._refuse(name, None, "is missing", f"Give every line a number in {' or '.join(NAMES[name])}.")
            return None
        number = _number(value) if not isinstance(value, str) else None
        if number is None or not 0 < number < 1e9:
            self._refuse(used, value, f"is {value!r}", "Use a number above 0.")
            return None
        return number

    def _integer(self, name: str, *, required: bool = False, least: int = -_LARGEST) -> int | None:
        used, value = self._find(name)
        if value is None:
            if required:
                self._refuse(name, None, "is missing", f"Give every line an integer in {' or '.join(NAMES[name])}.")
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LARGEST:
            self._refuse(used, value, f"is {value!r}", f"Use an integer{' from 0' if least == 0 else ''}.")
            return None
        return value

    def _ranks(self) -> list[int] | dict[str, int] | None:
        used, value = self._find("ranks")
        if not value and value is not False:
            return None  # nothing is adapted
        entries = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(entries, list) or not all(type(each) is int and 0 <= each <= 100_000 for each in entries):
            message = "is not a list of integers from 0, or an object with one for each module"
            self._refuse(used, None, message, "Write the kept rank of each module, 0 included.")
            return None
        if len(entries) > MAX_MODULES:
            self._refuse(
                used, len(entries), f"has {len(entries):,} modules", f"At most {MAX_MODULES:,} can be imported."
            )
            return None
        assert isinstance(value, list | dict)
        return value

    def _options(self) -> dict[str, Any]:
        used, value = self._find("options")
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._refuse(used, value, "is not a JSON object", "Write the method's options as an object.")
            return {}
        return value

    def _scores(self) -> list[float] | None:
        used, value = self._find("scores")
        if value is None:
            return None
        numbers = [_number(each) for each in value] if isinstance(value, list) else [None]
        found = [each for each in numbers if each is not None and math.isfinite(each)]
        if not found or len(found) != len(numbers):
            self._refuse(used, None, "is not a list of finite numbers", "Write one score for each evaluation row.")
            return None
        return found

    def _metrics(self) -> dict[str, float]:
        used, value = self._find("metrics")
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._refuse(used, value, "is not a JSON object", "Write the metrics as an object of numbers.")
            return {}
        found = {}
        for name, each in value.items():
            number = _number(each)
            if number is None:
                self._refuse(f"{used}.{name}", each, f"is {each!r}, which is not a number", "Use a number.")
            else:
                found[name] = number
        return found


def _number(value: object) -> float | None:
    """Returns a JSON number as a float; None for other values. The texts of NaN and infinity are numbers too."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value.strip().lower())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
