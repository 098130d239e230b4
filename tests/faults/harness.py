"""Harness: plays the cases of a row against an installation, several at a time, and records faults and breaches.

Everything random comes from the seed, the row and the number of the case, so that `--seed S --only ROW:NUMBER` plays
one case again with the same configuration and the same fault. (The exact time at which a signal arrives still depends
on the machine.)
"""

import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.checks import ALWAYS, Breach, Kind, check_run
from tests.faults.installation import DEADLINE_S, Installation
from tests.faults.subjects import SUBJECTS, make_catalogue
from tests.faults.trace import Trace, trace
from tests.faults.viewers import Viewer
from tests.forked_commands import ForkedCommands

NOTHING = "nothing"
"""The name of a fault that deliberately doesn't affect its run."""
_TRIES = 4
"""A run can end before its fault occurs; then the case is repeated."""


@dataclass
class Case:
    """One run and its fault. `chance` is the source of all randomness in it."""

    row: str
    number: int
    chance: Random
    subject: str
    installation: Installation
    run_id: str = ""

    @property
    def viewer(self) -> Viewer:
        return self.installation.viewers[self.run_id][0]

    def reaches(self, step: int) -> bool:
        """Waits until step `step` has been recorded; False if the run ends before that."""
        return self.viewer.wait_for(lambda event: event.get("step", -1) >= step, DEADLINE_S) is not None


Disturb = Callable[[Case], str | None]
"""Breaks something during the case's run; None if it came too late, else what it broke: `WHAT; WHAT: details`."""


@dataclass
class Result:
    """The faults and the findings of a row."""

    row: str
    faults: Counter[str] = field(default_factory=Counter)
    """Fault -> number of times."""
    runs: int = 0
    kinds: list[Kind] = field(default_factory=lambda: list(ALWAYS))
    """Kinds of breaches that the row reports figures about."""
    breaches: list[Breach] = field(default_factory=list)
    figures: list[tuple[str, float, float | None, str, str]] = field(default_factory=list)
    """Figures of only this row: figure, value, limit (None: informative only), unit, against."""
    seconds: float = 0.0


class Harness:
    """`folder` is for all files; `journal` gets one JSON line for each case."""

    def __init__(self, folder: Path, seed: int, forked: ForkedCommands | None = None) -> None:
        self.folder, self.seed, self._forked = folder, seed, forked
        self.catalogue = make_catalogue(folder / "catalogue")
        self.undisturbed: dict[str, Trace] = {}
        self.journal = folder / "journal.jsonl"
        self.breaches = 0
        """Number in all cases so far."""
        self._installations = 0

    def chance(self, row: str, number: int) -> Random:
        return Random(f"{self.seed}/{row}/{number}")

    @contextmanager
    def installation(self, *, workers: int, slots: int = 1, **settings: Any) -> Iterator[Installation]:
        self._installations += 1
        folder = self.folder / f"installation-{self._installations}"
        made = Installation(folder, self.catalogue, forked=self._forked, **settings)
        breaches_before = self.breaches
        try:
            yield made.start(workers, slots)
        except BaseException:
            made.close()  # its folder is kept for inspection
            raise
        if self.breaches > breaches_before:
            made.close()
        else:
            made.discard()

    def train_undisturbed(self, installation: Installation, subjects: Sequence[str] = tuple(SUBJECTS)) -> Result:
        """The reference: trains each subject once, on the same stack without faults. The same checks apply."""
        result, began = Result("undisturbed"), time.monotonic()
        launched = {subject: installation.launch(SUBJECTS[subject]) for subject in subjects}
        for subject, run_id in launched.items():
            installation.until_ended(run_id)
            result.runs += 1
            result.breaches += check_run(installation, run_id, None)
            self.undisturbed[subject] = trace(installation, run_id)
        result.seconds = time.monotonic() - began
        return result

    def play(
        self,
        row: str,
        installation: Installation,
        numbers: Sequence[int],
        disturb: Disturb,
        *,
        at_a_time: int,
        subjects: Sequence[str] = tuple(SUBJECTS),
        viewers: Sequence[int | None] = (None,),
    ) -> Result:
        """One case for each of `numbers`; every run is checked against the undisturbed one of its subject."""
        result, began = Result(row), time.monotonic()

        def one(number: int) -> None:
            for attempt in range(_TRIES):
                chance = self.chance(row, number + 1000 * attempt)
                case = Case(row, number, chance, chance.choice(subjects), installation)
                if self.play_case(case, disturb, viewers, result):
                    return
            result.breaches.append(
                Breach("lost run", "", f"case {row}:{number}: the fault came too late {_TRIES} times")
            )

        with ThreadPoolExecutor(at_a_time, thread_name_prefix=row) as lanes:
            list(lanes.map(one, numbers))
        result.seconds = time.monotonic() - began
        return result

    def play_case(self, case: Case, disturb: Disturb, viewers: Sequence[int | None], result: Result) -> bool:
        """Launch, disturb, wait for the end, check, write down. False if the fault came too late to have an effect."""
        done: str | None = None
        try:
            case.run_id = case.installation.launch(SUBJECTS[case.subject], viewers=viewers)
            done = disturb(case)
            case.installation.until_ended(case.run_id)
            breaches = check_run(case.installation, case.run_id, self.undisturbed[case.subject])
        except Exception:
            breaches = [Breach("lost run", case.run_id, traceback.format_exc())]
        result.runs += 1
        result.breaches += breaches
        if done:
            result.faults.update(what for what in done.partition(":")[0].split("; ") if what != NOTHING)
        self._write(case, done, breaches)
        return done is not None or bool(breaches)

    def _write(self, case: Case, done: str | None, breaches: list[Breach]) -> None:
        line = {
            "case": f"{case.row}:{case.number}",
            "seed": self.seed,
            "subject": case.subject,
            "run": case.run_id,
            "folder": case.installation.settings.data_dir.name,
            "fault": done,
            "attempts": case.installation.run(case.run_id).attempt if case.run_id else 0,
            "breaches": [f"{breach.kind}: {breach.text}" for breach in breaches],
            "at": round(time.time(), 3),
        }
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")
        self.breaches += len(breaches)
        if breaches:
            print(
                f"BREACH {json.dumps(line, indent=1)}\n{case.run_id and case.installation.describe(case.run_id)}",
                flush=True,
            )
