"""Data files: which are read, which are refused with which message, and independent look-ups of each entry."""

import gzip
import json
import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog, DatasetEntry
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput, UnknownName
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.settings import Settings
from tests.stack import wait_for
from tests.tiny import make_reviews

Write = Callable[[str, str | bytes], DatasetEntry]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    settings.datasets_dir.mkdir()
    return settings


@pytest.fixture
def write(settings: Settings) -> Write:
    """Writes a file and returns its entry in the list."""

    def write(name: str, content: str | bytes) -> DatasetEntry:
        path = settings.datasets_dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return listed(settings)[f"local:{name}"]

    return write


def listed(settings: Settings) -> dict[str, DatasetEntry]:
    catalog = Catalog(settings)
    entries = wait_for("all files to be read", lambda: _if_read(catalog.datasets()))
    return {entry.id: entry for entry in entries}


def _if_read(entries: list[DatasetEntry]) -> list[DatasetEntry] | None:
    return entries if all(entry.problem or entry.rows is not None for entry in entries) else None


def texts(entry: DatasetEntry, column: str = "text") -> list[str]:
    return [row[column] for row in entry.first_rows(100)]


# ---------------------------------------------------------------- read


@pytest.mark.parametrize(
    ("name", "content", "encoding", "separator"),
    [
        ("plain.csv", "text,label\nä b,x\nc,y\n", "UTF-8", ","),
        ("bom.csv", "\ufefftext,label\nä b,x\nc,y\n", "UTF-8", ","),
        ("wide.csv", "text,label\nä b,x\nc,y\n".encode("utf-16"), "UTF-16", ","),
        ("wider.csv", "text,label\nä b,x\nc,y\n".encode("utf-32"), "UTF-32", ","),
        ("windows.csv", "text,label\r\nä b,x\r\nc,y\r\n", "UTF-8", ","),
        ("old-mac.csv", "text,label\rä b,x\rc,y", "UTF-8", ","),
        ("semicolons.csv", "text;label\nä b;x\nc;y\n", "UTF-8", ";"),
        ("excel.csv", "sep=;\ntext;label\nä b;x\nc;y\n", "UTF-8", ";"),
        ("tabs.csv", "text\tlabel\nä b\tx\nc\ty\n", "UTF-8", "\t"),
        ("bars.csv", "text|label\nä b|x\nc|y\n", "UTF-8", "|"),
        ("tabs.tsv", "text\tlabel\nä b\tx\nc\ty\n", "UTF-8", "\t"),
        ("capitals.CSV", "Text , LABEL \nä b,x\nc,y\n", "UTF-8", ","),
        ("blank-lines.csv", "\n\ntext,label\n\nä b,x\n  \nc,y\n\n", "UTF-8", ","),
        ("lines.jsonl", '{"text": "ä b", "label": "x"}\n\n{"label": "y", "text": "c"}', "UTF-8", None),
        ("bom.jsonl", '\ufeff{"text": "ä b", "label": "x"}\n{"label": "y", "text": "c"}', "UTF-8", None),
        ("lines.ndjson", '{"text": "ä b", "label": "x"}\n{"label": "y", "text": "c"}', "UTF-8", None),
    ],
)
def test_formats_that_programs_write_are_read(
    write: Write, name: str, content: str | bytes, encoding: str, separator: str | None
) -> None:
    entry = write(name, content)
    assert entry.problem is None
    assert (entry.encoding, entry.separator, entry.rows) == (encoding, separator, 2)
    assert entry.text_columns[0].lower() == "text"
    assert entry.target_column is not None
    assert texts(entry, entry.text_columns[0]) == ["ä b", "c"]
    assert texts(entry, entry.target_column) == ["x", "y"]


def test_lengths_of_texts_are_counted_and_those_of_numbers_are_not(write: Write) -> None:
    lengths = [3, 5, 5, 119, 70_001, 70_002]
    rows = [f"{'é' * length},{at}\n" for at, length in enumerate(lengths)]
    ((column, found),) = write("long.csv", "text,score\n" + "".join(rows) + ",1\n").lengths
    assert (column, found.longest, found.mean) == ("text", 70_002, round(sum(lengths) / 6, 1))
    assert (found.counts[0], found.counts[-1], sum(found.counts)) == (4, 2, 6)
    assert found.edges[-2] <= 70_001 <= 70_002 < found.edges[-1]
    ((_, short),) = write("short.jsonl", '{"text": "ab", "label": 1}\n{"text": "abcd", "label": 2}\n').lengths
    assert (short.edges, short.counts) == ([0, 1, 2, 3, 4, 5], [0, 0, 1, 0, 1])


def test_commas_in_the_texts_of_a_semicolon_file_and_the_other_way_round_do_not_decide(write: Write) -> None:
    semicolons = write("a.csv", 'text;label\n"good, really";x\nwell, well;y\n')
    assert (semicolons.separator, texts(semicolons)) == (";", ["good, really", "well, well"])
    commas = write("b.csv", "text,label\ngood; really,x\nwell; well,y\n")
    assert (commas.separator, texts(commas)) == (",", ["good; really", "well; well"])


def test_json_rows_may_lack_fields_and_have_others(write: Write) -> None:
    entry = write("rows.jsonl", '{"text": "a b", "label": 1}\n{"label": 2, "text": "c", "more": [1]}\n{"text": "d"}\n')
    assert (entry.columns, entry.rows) == (("text", "label", "more"), 3)
    assert [row["more"] for row in entry.first_rows(3)] == ["", "[1]", ""]
    assert [(each.reason, each.rows, each.first_lines) for each in entry.left_out] == [
        ("no label in column 'label'", 1, (3,))
    ]


# ---------------------------------------------------------------- refused, with the reason

DEEP = "[" * 200_000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "It is empty"),
        ("newline.csv", b"\n\n", "only empty lines"),
        ("header.csv", "text,label\n", "no rows"),
        ("latin1.csv", "text,label\nfine,x\ncafé,y\n".encode("latin-1"), "line 3, byte 22 of the file is 0xE9"),
        ("cut.csv", "text,label\ncafé".encode()[:-1], "middle of a character"),
        ("cut16.csv", "text,label\nab,c\n".encode("utf-16")[:-1], "middle of a character"),
        ("utf16-without-mark.csv", "text,label\nab,c\n".encode("utf-16-le"), "UTF-16 without"),
        ("nul.csv", b"text,label\na\0b,c\n", "Line 2 has a NUL"),
        ("late-nul.csv", b"text,label\n" + b"ab,c\n" * 5000 + b"a\0b,c\n", "Line 5002 has a NUL"),
        ("few.csv", "text,label\nfine,x\nonly one\n", "Line 3 has 1 field, but the header has 2"),
        ("many.csv", 'text,label\n"two\nlines",x\na,b,c\n', "Line 4 has 3 fields, but the header has 2"),
        ("quote.csv", 'label,text\nx,"never closed\ny,fine\n', "line 2 is never closed"),
        ("double.csv", "text,label,text\na,b,c\n", "Two columns are named 'text'"),
        ("double-spaces.csv", "text,label, text \na,b,c\n", "Two columns are named 'text'"),
        ("field.csv", "text,label\n" + "a" * (1 << 24) + "b,c\n", "line 2: a field is longer than 16 million"),
        ("line.jsonl", '{"text": "' + "a" * (1 << 25), "longer than 32 million"),
        ("no-header.csv", "a long text " * 100 + ",x\nb,y\n", "A column's name has 1,199 characters"),
        ("endless-row.csv", "text;label\n" + "a;" * 1_000_001, "Line 2 has more than a million separators (';')"),
        ("endless-list.jsonl", '{"text": [' + "1," * 1_000_001, "Line 1 has more than a million separators"),
        ("zipped.csv", b"PK\x03\x04" + b"\0" * 30, "zip archive or an Excel"),
        ("packed.csv", gzip.compress(b"text,label\na,b\n", mtime=0), "compressed with gzip"),
        ("table.csv", b"PAR1\0\0\0\0", "Parquet"),
        ("pointer.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("page.csv", b"<!DOCTYPE html><html>", "web page"),
        ("named-wrong.csv", '{"text": "a", "label": "b"}\n', "The content is JSON"),
        ("list.jsonl", '["a", "b"]\n', "Line 1 is a list"),
        ("number.jsonl", '{"text": "a", "label": 1}\n5\n', "Line 2 is a number"),
        ("text.jsonl", '"a"\n', "Line 1 is a string"),
        ("null.jsonl", "null\n", "Line 1 is null"),
        ("array.jsonl", '[\n{"text": "a"}\n]\n', "Line 1 is not JSON"),
        ("cut.jsonl", '{"text": "a", "label": 1}\n{"text": "b', "Line 2 is not JSON"),
        ("deep.jsonl", DEEP + "\n", "Line 1 is nested too deeply"),
        ("deep-field.jsonl", f'{{"text": "a", "label": {DEEP}\n', "Line 1 is nested too deeply"),
        ("digits.jsonl", f'{{"text": "a", "label": {"1" * 5000}}}\n', "Line 1 is not JSON"),
        ("twice.jsonl", '{"text": "a", "label": 1, "text": "b"}\n', "Line 1 has the name 'text' twice"),
        ("half.jsonl", '{"text": "a\\ud83d", "label": 1}\n', "Line 1 has half of a surrogate pair"),
        ("nul.jsonl", '{"text": "a\\u0000", "label": 1}\n', "Line 1 has a NUL"),
        ("nothing.jsonl", "{}\n{}\n", "empty objects"),
        ("wide.jsonl", "".join(f'{{"name {n}": 1}}\n' for n in range(1100)), "more than 1,000 columns"),
        ("reviews.json", '[{"text": "a"}]', "a JSON document"),
        ("reviews.csv.gz", gzip.compress(b"text,label\na,b\n", mtime=0), "compressed"),
        ("reviews.zip", b"PK\x03\x04", "an archive"),
        ("reviews.parquet", b"PAR1", "a binary table"),
        ("reviews.xlsx", b"PK\x03\x04", "a spreadsheet"),
        ("reviews.txt", "a\nb\n", "does not say that it is a table"),
        ("reviews.csv.part", "text,label\na,b\n", "unfinished copy"),
        ("reviews.csv.bak", "text,label\na,b\n", "ends with '.bak'"),
        ("reviews", "text,label\na,b\n", "ends with ''"),
    ],
)
def test_unreadable_file_is_listed_with_reason_and_next_step(
    settings: Settings, write: Write, name: str, content: str | bytes, words: str
) -> None:
    make_reviews(settings.datasets_dir / "good.csv")
    entry = write(name, content)
    assert words in (entry.problem or "")
    assert entry.next_step
    assert (entry.columns, entry.rows, entry.classes) == ((), None, ())
    with pytest.raises(BadInput, match=r"config\.data\.id: is 'local:") as refused:
        Catalog(settings).dataset(entry.id)
    assert words in str(refused.value)
    assert refused.value.next_step == entry.next_step
    assert Catalog(settings).dataset("local:good.csv").rows == 240


def test_entry_that_is_not_a_file_is_refused_without_opening_it(settings: Settings) -> None:
    folder = settings.datasets_dir
    os.mkfifo(folder / "pipe.csv")  # opening it would block forever
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "folder.csv").mkdir()
    (folder / "data").mkdir()
    (folder / "gone.csv").symlink_to(folder / "nothing")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    (folder / "zeros.csv").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket.csv"))
        problems = {id: entry.problem or "" for id, entry in listed(settings).items() if id.startswith("local:")}
    assert {id: problem.split(",")[0] for id, problem in problems.items()} == {
        "local:pipe.csv": "It is a named pipe",
        "local:pipe.jsonl": "It is a named pipe",
        "local:folder.csv": "It is a folder",
        "local:data": "It is a folder",
        "local:socket.csv": "It is a socket",
        "local:zeros.csv": "It is a device",
        "local:gone.csv": f"It is a link to {folder / 'nothing'}",
        "local:loop.csv": f"It is a link to {folder / 'loop.csv'}",
    }
    for dataset_id in problems:
        with pytest.raises(BadInput):
            Catalog(settings).dataset(dataset_id)


def test_hidden_files_notes_and_code_are_ignored(settings: Settings) -> None:
    for name in (".DS_Store", "._reviews.csv", ".hidden.csv", "README.md", "README", "make.py", "reviews.csv~"):
        (settings.datasets_dir / name).write_bytes(b"\0\x05\x16\x07")
    assert [id for id in listed(settings) if id.startswith("local:")] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"caf\xe9.csv", "not UTF-8"),
        (b"two\nlines.csv", "a line break"),
        (b"\x1b[31mred.csv", "control character"),
        (b"a" * 220 + b".csv", "224 characters"),
        ("\u202egpj.csv".encode(), "invisible character"),
        ("zero\u200bwidth.csv".encode(), "invisible character"),
    ],
)
def test_an_invalid_file_name_is_refused_with_a_printable_id(settings: Settings, name: bytes, words: str) -> None:
    Path(os.fsdecode(os.fsencode(settings.datasets_dir) + b"/" + name)).write_text("text,label\na,b\nc,d\n")
    (entry,) = (entry for id, entry in listed(settings).items() if id.startswith("local:"))
    assert words in (entry.problem or "")
    assert entry.next_step == "Rename it."
    assert all(letter.isprintable() for letter in entry.id)
    json.dumps(entry.id, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "name",
    ['it\'s "fine".csv', "ein Name mit Leerzeichen.csv", "评论.csv", "a%2Fb&c?.csv", "👩\u200d💻.csv", "a\u00a0b.csv"],
)
def test_unusual_names_that_are_text_work(settings: Settings, write: Write, name: str) -> None:
    assert write(name, "text,label\na,b\nc,d\n").problem is None
    assert Catalog(settings).dataset(f"local:{name}").rows == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused_until_it_is_readable(settings: Settings, write: Write) -> None:
    write("closed.csv", "text,label\na,b\nc,d\n")
    path = settings.datasets_dir / "closed.csv"
    path.chmod(0)
    assert "permission denied" in (listed(settings)["local:closed.csv"].problem or "")
    path.chmod(0o600)
    assert listed(settings)["local:closed.csv"].problem is None


def test_a_datasets_folder_that_is_a_file_is_reported_and_does_not_affect_the_demo(settings: Settings) -> None:
    settings.datasets_dir.rmdir()
    settings.datasets_dir.write_text("")
    demo, broken = Catalog(settings).datasets()
    assert (demo.id, demo.problem) == ("rotten-tomatoes", None)
    assert "not a directory" in (broken.problem or "").lower()
    with pytest.raises(UnknownName):
        Catalog(settings).dataset("local:reviews")


# ---------------------------------------------------------------- ids


def test_files_that_differ_in_their_extension_are_two_data_sets(settings: Settings, write: Write) -> None:
    assert write("plain.csv", "text,label\na,b\nc,d\n").short_id == "local:plain"
    catalog = Catalog(settings)
    assert catalog.dataset("local:plain").id == "local:plain.csv"
    write("plain.jsonl", '{"text": "a", "label": "b"}\n')
    entries = listed(settings)
    assert [entries[f"local:plain.{ending}"].rows for ending in ("csv", "jsonl")] == [2, 1]
    assert entries["local:plain.csv"].short_id is None
    with pytest.raises(BadInput, match=r"may be local:plain\.csv or local:plain\.jsonl"):
        catalog.dataset("local:plain")
    # The id that a run of an earlier version was launched with is decisive.
    for ending in ("csv", "jsonl"):
        entry = catalog.dataset(f"local:plain.{ending}")
        assert catalog.dataset("local:plain", fingerprint=entry.fingerprint) == entry


def test_junk_next_to_a_file_does_not_make_its_short_id_ambiguous(settings: Settings, write: Write) -> None:
    write("plain.csv", "text,label\na,b\nc,d\n")
    for name in ("plain.tsv", "plain.json", "plain.ndjson", "plain.csv.gz"):
        (settings.datasets_dir / name).write_bytes(b"\0")
    (settings.datasets_dir / "plain").mkdir()
    os.mkfifo(settings.datasets_dir / "plain.jsonl")
    assert Catalog(settings).dataset("local:plain").id == "local:plain.csv"


@pytest.mark.parametrize(
    "wanted",
    [
        "nope",
        "local:",
        "local:../reviews.csv",
        "local:/etc/passwd",
        "local:.h.csv",
        "\ud800",
        "local:\ud800",
        "local:a\0b",
        f"local:{'评' * 190}",
    ],
)
def test_an_unknown_id_lists_the_known_ones(settings: Settings, wanted: str) -> None:
    make_reviews(settings.datasets_dir / "reviews.csv")
    (settings.datasets_dir / ".h.csv").write_text("text,label\n")
    with pytest.raises(UnknownName) as error:
        Catalog(settings).dataset(wanted)
    problem = error.value.problems[0]
    assert (problem.field, problem.value) == ("config.data.id", wanted)
    assert "local:reviews.csv" in problem.next_step


# ---------------------------------------------------------------- the usual columns


@pytest.mark.parametrize(
    ("content", "text_columns", "label_column"),
    [
        ("id,body,label\n1,a long text,x\n2,another one,y\n", ("body",), "label"),
        (",text,label\n0,a,x\n1,b,y\n", ("text",), "label"),
        ("uuid,words,label\n" + "".join(f"{n:036d},a b {n},x\n" for n in range(9)), ("words",), "label"),
        ("premise,hypothesis,label\nit is warm,it is cold,x\nit is late,it is not,y\n", (), "label"),
        ("id,label\n1,x\n2,y\n", (), "label"),
        ("text,opinion\na,x\nb,y\n", ("text",), None),
        ("Sentiment,TEXT\nx,a\ny,b\n", ("TEXT",), "Sentiment"),
    ],
)
def test_default_columns_are_found_by_name_then_by_length_and_never_guessed(
    write: Write, content: str, text_columns: tuple[str, ...], label_column: str | None
) -> None:
    entry = write("rows.csv", content)
    assert (entry.problem, entry.text_columns, entry.target_column) == (None, text_columns, label_column)


def test_a_column_of_lists_is_not_used_as_the_text(write: Write) -> None:
    entry = write("rows.jsonl", '{"text": ["a"], "label": "x", "body": "some words"}\n')
    assert (entry.text_columns, entry.target_column) == (("body",), "label")


# ---------------------------------------------------------------- reading


def test_rotten_tomatoes_has_no_plots_no_doubles_and_a_film_for_each_row(settings: Settings) -> None:
    with Catalog(settings).dataset("rotten-tomatoes").open() as table:
        rows: list[Any] = [row for _, row in table.records]
    assert len({row["text"] for row in rows}) == len(rows) > 12_000
    assert {row["category"] for row in rows} == {"fresh", "rotten"}
    assert all(row["movie_name"] for row in rows)


def test_a_preview_is_truncated_and_reads_only_the_start_of_the_file(write: Write) -> None:
    entry = write("rows.csv", f"text,label\n{'word ' * 2000},x\nb,\n" + "c,y\n" * 50_000)
    first, second = entry.first_rows(2)
    assert first["text"].endswith("…")
    assert len(first["text"]) == 501
    assert second["label"] == ""


def test_a_line_with_too_many_names_is_refused_immediately(write: Write) -> None:
    names = [f"n{number}" for number in range(200_000)]
    assert "more than 1,000 columns" in (write("wide.csv", ",".join([*names, "n199999"]) + "\n1,2\n").problem or "")
    row = ", ".join(f'"{name}": 1' for name in [*names, "n199999"])
    assert "the name 'n199999' twice" in (write("wide.jsonl", f"{{{row}}}\n").problem or "")


def test_the_columns_are_chosen_without_keeping_a_thousand_long_rows_in_memory(
    settings: Settings, write: Write
) -> None:
    write("long.csv", "text,label\n" + "".join(f"{'w ' * 300_000}{n},{'xy'[n % 2]}\n" for n in range(100)))
    catalog = Catalog(settings)
    tracemalloc.start()
    try:
        entry = catalog.dataset("local:long.csv")
        counts = catalog.count_split(entry, DataConfig(id=entry.id, eval_fraction=0.5), DEFAULT_TASK)
        entry.first_rows(100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts.train_rows + counts.eval_rows == 100
    assert peak < 30_000_000, "the file has 60 MB"


def test_a_file_that_changes_between_listing_and_split_is_refused(settings: Settings, write: Write) -> None:
    write("rows.csv", "text,label\n" + "".join(f"text {n},{'xy'[n % 2]}\n" for n in range(100)))
    catalog = Catalog(settings)
    entry = catalog.dataset("local:rows.csv")
    with (settings.datasets_dir / "rows.csv").open("a") as file:
        file.write("one more,x\n")
    with pytest.raises(BadInput, match="changed while it was being read"):
        catalog.count_split(entry, DataConfig(id=entry.id), DEFAULT_TASK)
    assert catalog.dataset("local:rows.csv").rows == 101
    (settings.datasets_dir / "rows.csv").unlink()
    with pytest.raises(BadInput, match="no such file"):
        catalog.count_split(entry, DataConfig(id=entry.id), DEFAULT_TASK)
    with pytest.raises(UnknownName):
        catalog.dataset("local:rows.csv")
