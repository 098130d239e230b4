"""With any content of the folder, the list works, each bad entry has a reason, and good data can be used."""

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankscope.catalog import Catalog, DatasetEntry
from rankscope.catalog.data.splits import SplitCounts, split
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.settings import Settings
from tests.junk import fill_with_junk
from tests.stack import wait_for
from tests.tiny import make_reviews

GOOD = DataConfig(id="local:reviews")
UNEXPECTED = "unexpected error"

ENDINGS = st.sampled_from([".csv", ".tsv", ".jsonl", ".ndjson", ".CSV", ".json", ".txt", ".csv.gz", ".zip", "", ".md"])
NAMES = st.builds(
    lambda stem, ending: stem + ending.encode(),
    st.binary(min_size=1, max_size=30).filter(lambda stem: not set(stem) & {0, ord("/")}),
    ENDINGS,
).filter(lambda name: name not in (b".", ".."))
CELLS = st.text(max_size=12)
CSV = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=8).map(
    lambda rows: "text,label\n" + "\n".join(",".join(row) for row in rows)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "label", "", "x"]), inner),
    max_leaves=6,
)
JSON_LINES = st.lists(JSON, max_size=6).map(lambda values: "\n".join(map(_json, values)))
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Random bytes, or a table in some encoding that may have been truncated or changed."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    data = draw(CSV | JSON_LINES).encode(draw(ENCODINGS), "replace")
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    if data and draw(st.booleans()):
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + 1 :]
    return data


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """One catalogue for all examples, so that the demo's file is read only once."""
    made = Settings(data_dir=tmp_path_factory.mktemp("installation"))
    make_reviews(made.datasets_dir / "reviews.csv", rows=60)
    return Catalog(made)


@contextmanager
def folder_of(catalog: Catalog) -> Iterator[Path]:
    """The folder, with only the good file in it before and after."""
    folder = catalog.dataset(GOOD.id).path.parent
    yield folder
    for path in folder.iterdir():
        if path.name == "reviews.csv":
            continue
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def _if_read(entries: list[DatasetEntry]) -> list[DatasetEntry] | None:
    return entries if all(entry.problem or entry.rows is not None for entry in entries) else None


def check(catalog: Catalog) -> list[DatasetEntry]:
    """Checks the invariants of any folder with one good file."""
    entries = wait_for("all files to be read", lambda: _if_read(catalog.datasets()))
    assert len({entry.id for entry in entries}) == len(entries)
    for entry in entries:
        entry.id.encode()
        entry.name.encode()
        if entry.problem is not None:
            assert entry.problem.strip()
            assert (entry.next_step or "").strip()
            assert UNEXPECTED not in entry.problem, entry
            continue
        if entry.id == "rotten-tomatoes":  # not in the folder, and 40 ms to its first review
            continue
        entry.first_rows(5)
        if counts := counts_or_reason(catalog, entry):
            assert not {"", "null", "NaN"} & set(counts.labels)
            rows = split(entry, DataConfig(id=entry.id), DEFAULT_TASK)
            assert (len(rows.train), len(rows.evaluation)) == (counts.train_rows, counts.eval_rows)
    assert [entry.problem for entry in entries if entry.id == "local:reviews.csv"] == [None]
    good = catalog.dataset(GOOD.id)
    assert catalog.count_split(good, GOOD, DEFAULT_TASK).labels == ["fresh", "rotten"]
    assert next(entry for entry in entries if entry.id == "rotten-tomatoes").problem is None
    return entries


def counts_or_reason(catalog: Catalog, entry: DatasetEntry) -> SplitCounts | None:
    """The split, or None if it is refused with a reason for each field."""
    with contextlib.suppress(BadInput):
        return catalog.count_split(entry, DataConfig(id=entry.id), DEFAULT_TASK)
    with pytest.raises(BadInput) as refused:
        catalog.count_split(entry, DataConfig(id=entry.id), DEFAULT_TASK)
    assert all(problem.message and problem.next_step for problem in refused.value.problems)
    return None


def test_a_folder_full_of_junk_is_listed_with_reasons(catalog: Catalog) -> None:
    with folder_of(catalog) as folder:
        fill_with_junk(folder)
        by_id = {entry.id: entry for entry in check(catalog)}
        assert len(by_id["rotten-tomatoes"].first_rows(5)) == 5
        usable = {id for id, entry in by_id.items() if entry.problem is None}
        assert usable == {
            "rotten-tomatoes",
            "local:reviews.csv",
            "local:utf16.csv",
            "local:bom.csv",
            "local:other-order.jsonl",
            "local:ids.csv",
            "local:empty-labels.csv",
            "local:nan.jsonl",
        }
        assert len(by_id) > 50


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(files=st.dictionaries(NAMES, contents(), max_size=6))
def test_any_files_are_explained_and_affect_nothing_else(catalog: Catalog, files: dict[bytes, bytes]) -> None:
    with folder_of(catalog) as folder:
        for name, content in files.items():
            if name.lower() not in (b"reviews.csv", b"reviews.jsonl"):
                Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
        check(catalog)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]), content=contents())
def test_any_content_is_read_or_explained(catalog: Catalog, name: str, content: bytes) -> None:
    with folder_of(catalog) as folder:
        (folder / name).write_bytes(content)
        entries = {entry.id: entry for entry in check(catalog)}
        assert f"local:{name}" in entries
