"""Runs the cases whose figures are not stored yet. See the package's docstring."""

import argparse
import tempfile
from pathlib import Path

from tests.bench.rows import Rows

from .case import Case, Trained
from .cases import CASES
from .runs import Installation, Missing, installation
from .table import BEFORE, RESULTS, figure, stored_rows, write_page

_METHODS: tuple[Trained, ...] = ("lora", "dynamic_rank")


def is_stored(case: Case) -> bool:
    """Whether the figures of the case with the same settings are in the results."""
    last = figure(case.name, _METHODS[-1])
    return any(row["figure"] == last and row["against"].startswith(case.settings) for row in stored_rows())


def measure(case: Case, place: Installation, *, store: bool) -> None:
    data_id = place.prepare(case)
    rows = Rows("task_learning")
    divided = place.split(case.config("lora", data_id))
    sizes = f"{len(divided.train):,} training and {len(divided.evaluation):,} evaluation rows"
    about = f"{case.settings}; {sizes}"
    guessed = case.guess.score(divided)
    rows.tell(figure(case.name, case.guess.title), guessed, case.metric, about)
    before = case.measure(place.train(case, "nothing", case.config("nothing", data_id)))
    rows.tell(figure(case.name, BEFORE), before, case.metric, about)
    for method in _METHODS:
        run = place.train(case, method, case.config(method, data_id))
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(run.metrics.items()) if _is_score(name))
        against = f"{about}; {metrics}; {run.kept_parameters:,} kept parameters; {run.seconds:.0f} s"
        least = case.learned_from(before, guessed)
        rows.at_least(figure(case.name, method), case.measure(run), least, case.metric, against)
    if store:
        rows.store()
        write_page()


def _is_score(name: str) -> bool:
    return not name.endswith(("_runtime", "_per_second"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES], help="can be repeated")
    parser.add_argument("--again", action="store_true", help="also cases whose figures are stored; stores nothing")
    parser.add_argument("--folder", type=Path, help="needs 1 GB; default: a temporary folder")
    given = parser.parse_args()
    wanted = [case for case in CASES if not given.only or case.name in given.only]
    missing = [case for case in wanted if given.again or not is_stored(case)]
    if not missing:
        print(f"All figures are in {RESULTS}. --again repeats the runs without storing them.")
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, installation(Path(folder)) as place:
        for case in missing:
            try:
                measure(case, place, store=not given.again)
            except Missing as error:
                print(f"{case.name} is left out. It needs `{error}`.", flush=True)


if __name__ == "__main__":
    main()
