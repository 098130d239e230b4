"""The parts of a data set that defines its split: which rows are for training, and which for evaluation."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rankscope.catalog.data.columns import find_column
from rankscope.catalog.data.entry import DatasetEntry
from rankscope.catalog.data.part_names import EVALUATION, TEST, TRAIN, kind_of
from rankscope.catalog.data.records import NotText
from rankscope.catalog.data.used_columns import known_columns, problem
from rankscope.contract.data.config import MOST_PARTS, DataConfig

Side = Literal["train", "evaluation"]

_SHOWN = 12


@dataclass(frozen=True)
class PartRows:
    """A part, its number of rows before any are left out for other reasons, and its side (None: it is not used)."""

    name: str
    rows: int
    side: Side | None


@dataclass(frozen=True)
class Parts:
    column: str
    all: tuple[PartRows, ...]
    """In the order of the rows."""

    def sides(self) -> dict[str, Side | None]:
        return {part.name: part.side for part in self.all}

    def names(self, side: Side) -> list[str]:
        return [part.name for part in self.all if part.side == side]


def find_parts(entry: DatasetEntry, data: DataConfig) -> Parts:
    """Returns the parts of a data set and what each is used for. Reads their column once. Raises BadInput."""
    wanted = data.split_column or entry.split_column
    if wanted is None:
        raise problem(
            "data.split_column",
            None,
            f"is empty, and {entry.id} names no split of its own",
            "Choose the column that names the part of each row, or set data.split to share.",
        )
    column = find_column(entry.columns, wanted)
    if column is None:
        raise problem(
            "data.split_column",
            wanted,
            f"is {wanted!r}, which {entry.id} does not have",
            f"Use {known_columns(entry)}.",
        )
    rows = _count(entry, column)
    train = _named(data.train_parts, "data.train_parts", column, rows)
    evaluation = _named(data.eval_parts, "data.eval_parts", column, rows)
    both = [name for name in evaluation or () if name in (train or ())]
    if both:
        raise problem(
            "data.eval_parts",
            data.eval_parts,
            f"contains {both[0]!r}, which is also a training part",
            "Remove it from one.",
        )
    if evaluation is None:
        free = [name for name in rows if name not in (train or ())]
        evaluation = _of_kind(free, EVALUATION) or _of_kind(free, TEST) or (free if train is not None else [])
    if train is None:
        free = [name for name in rows if name not in evaluation]
        train = _of_kind(free, TRAIN) or (free if data.eval_parts is not None else [])
    for names, field, title in ((train, "train_parts", "training"), (evaluation, "eval_parts", "evaluation")):
        if not names:
            raise problem(
                f"data.{field}",
                None,
                f"is empty, and no value of column {column!r} is a usual name of {title} rows. It has {_listed(rows)}",
                f"Name the parts in {field}, or use another split_column.",
            )
    sides: dict[str, Side] = {**dict.fromkeys(train, "train"), **dict.fromkeys(evaluation, "evaluation")}
    return Parts(column, tuple(PartRows(name, count, sides.get(name)) for name, count in rows.items()))


def _count(entry: DatasetEntry, column: str) -> dict[str, int]:
    """Returns the rows of each part, in the order in which the parts begin. Rows without a part are not counted."""
    counts: Counter[str] = Counter()
    with entry.open([column]) as table:
        for line, record in table.records:
            try:
                value = table.text(record.get(column))
            except NotText:
                raise problem(
                    "data.split_column",
                    column,
                    f"is {column!r}, which contains a list or an object on line {line}",
                    "Use a column with one text or number in each row.",
                ) from None
            if value is None:
                continue
            counts[value.strip()] += 1
            if len(counts) > MOST_PARTS:
                raise problem(
                    "data.split_column",
                    column,
                    f"is {column!r}, which has more than {MOST_PARTS} different values: it does not name parts",
                    "Use another column, or set data.split to share.",
                )
    return dict(counts)


def _named(names: Sequence[str] | None, field: str, column: str, rows: Mapping[str, int]) -> list[str] | None:
    """Returns the parts as the column spells them."""
    if names is None:
        return None
    found = []
    for index, name in enumerate(names):
        part = find_column(list(rows), name)
        if part is None:
            raise problem(
                f"{field}.{index}",
                name,
                f"is {name!r}, which is not a value of column {column!r}",
                f"Use its values: {_listed(rows)}.",
            )
        found.append(part)
    return list(dict.fromkeys(found))


def _of_kind(names: Iterable[str], kind: tuple[str, ...]) -> list[str]:
    return [name for name in names if kind_of(name) == kind]


def _listed(rows: Mapping[str, int]) -> str:
    shown = [f"{name[:60]!r} ({count:,} rows)" for name, count in list(rows.items())[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "") or "no values"
