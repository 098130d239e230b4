"""Imports of real-world files: unusual encodings, broken rows, nested values, damaged archives."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.data.splits import split
from rankscope.catalog.imported.folders import Folders
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.settings import Settings
from rankscope_worker.child.importing import source, write_rows
from rankscope_worker.child.importing.import_file import import_upload
from rankscope_worker.child.importing.parquet_file import write_parquet_file
from tests.imports import import_bytes, profile_of, put_upload

ODD = (
    b"text,label\n"
    b"good film,1\n"
    b"ragged,1,2\n"
    b"short\n"
    b'"quoted, ok",0\n'
    b'"two\nlines",1\n'
    b"\n"
    b" ,1\n"
    b"bad \xff byte,1\n"
    b"nul\0here,0\n"
    b'"un"closed,0\n'
    b"  padded  ,NaN\n"
    b'"never closed,1\n'
)


def rows_of(data_dir: Path, dataset_id: str) -> list[dict[str, Any]]:
    entry = Catalog(Settings(_env_file=None, data_dir=data_dir)).dataset(dataset_id)
    with entry.open() as table:
        return [dict(record) for _, record in table.records]


def test_broken_rows_are_left_out_with_their_line_and_the_reason(tmp_path: Path) -> None:
    found = import_bytes(tmp_path, "odd.csv", ODD, encoding="utf-8")
    profile = profile_of(tmp_path, found)
    reasons = {row.line: row.reason for row in profile.rejected}
    assert list(reasons) == [3, 4, 10, 11, 12, 14]
    assert reasons[3] == "It has 3 fields, but the header has 2."
    assert reasons[4] == "It has 1 field, but the header has 2."
    assert "UTF-8" in reasons[10]
    assert "NUL" in reasons[11]
    assert "quote" in reasons[12]
    assert "quote" in reasons[14]
    assert (profile.rejected_rows, profile.rows) == (6, 5)
    assert rows_of(tmp_path, found) == [
        {"text": "good film", "label": "1"},
        {"text": "quoted, ok", "label": "0"},
        {"text": "two\nlines", "label": "1"},
        {"text": None, "label": "1"},
        {"text": "padded", "label": None},
    ]
    assert [column.missing for column in profile.columns] == [1, 1]
    assert {each.reason: (each.rows, each.first_lines) for each in profile.left_out} == {
        "no text in column 'text'": (1, [4]),
        "no label in column 'label'": (1, [5]),
    }


def test_an_open_quote_says_how_many_lines_it_takes(tmp_path: Path) -> None:
    content = b'text,label\n"open,1\n' + b"fine,0\n" * 40 + b'"closed",1\nlast,0\n'
    profile = profile_of(tmp_path, import_bytes(tmp_path, "open.csv", content))
    (rejected,) = profile.rejected
    assert (rejected.line, profile.rows) == (2, 1)
    assert rejected.reason.endswith("42 lines up to the next quote are left out with it.")


@pytest.mark.parametrize(
    ("content", "encoding", "separator"),
    [
        ("text;label\ncafé, ok;1\nnaïve;0\n".encode("cp1252"), "windows-1252", ";"),
        ('text,label\n"café, ok",1\nnaïve,0\n'.encode("utf-16"), "utf-16", ","),
        ("text\tlabel\ncafé, ok\t1\nnaïve\t0\n".encode("utf-16-be"), "utf-16", "\t"),
        ("\ufeffsep=|\ntext|label\ncafé, ok|1\nnaïve|0\n".encode(), "utf-8", "|"),
    ],
)
def test_encoding_and_separator_are_detected(tmp_path: Path, content: bytes, encoding: str, separator: str) -> None:
    found = import_bytes(tmp_path, "a.csv", content)
    profile = profile_of(tmp_path, found)
    assert (profile.encoding, profile.separator) == (encoding, separator)
    assert [row["text"] for row in rows_of(tmp_path, found)] == ["café, ok", "naïve"]
    assert profile.classes == [("0", 1), ("1", 1)]


def test_the_same_file_with_other_options_is_another_version(tmp_path: Path) -> None:
    content = "text,label\nЖизнь,1\nДень,0\n".encode()
    first = import_bytes(tmp_path, "a.csv", content, "a-1234", encoding="latin-1")
    second = import_bytes(tmp_path, "a.csv", content, "a-1234")
    assert (first, second) == ("imported:a-1234@1", "imported:a-1234@2")
    assert rows_of(tmp_path, first)[1]["text"] != "День"
    assert rows_of(tmp_path, second) == rows_of(tmp_path, "imported:a-1234")
    assert rows_of(tmp_path, second)[1]["text"] == "День"


def test_json_lines_keep_their_types_and_lose_only_broken_lines(tmp_path: Path) -> None:
    lines = [
        '{"text": "a", "label": 1, "n": 2, "Text": true}',
        '{"text": "b", "label": 1.5, "n": 3, "turns": [{"role": "user", "content": "x"}]}',
        "[1]",
        "not json",
        '{"text": "z", "text": "y"}',
        "",
        '{"text": "c", "label": "x", "n": null, "big": 123456789012345678901234567890}',
    ]
    found = import_bytes(tmp_path, "a.jsonl", "\n".join(lines).encode())
    profile = profile_of(tmp_path, found)
    assert [row.line for row in profile.rejected] == [3, 4, 5]
    kinds = {column.name: column.kind for column in profile.columns}
    assert kinds["label"] == "mixed"
    assert kinds["turns"] == "list or object"
    expected = [json.loads(line) for line in (lines[0], lines[1], lines[6])]
    names = ["text", "label", "n", "Text", "turns", "big"]
    assert rows_of(tmp_path, found) == [{name: row.get(name) for name in names} for row in expected]


def test_a_list_of_objects_larger_than_a_block_is_read_element_by_element(tmp_path: Path) -> None:
    rows = [{"text": f"{number} " + "x" * 3000, "label": number % 2} for number in range(900)]
    found = import_bytes(tmp_path, "a.json", json.dumps(rows, indent=1).encode())
    assert rows_of(tmp_path, found) == rows


def test_parquet_keeps_lists_and_drops_bytes(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    duckdb.sql(
        "COPY (SELECT 'a' AS text, 1 AS label, ['B', 'O'] AS tags, {'a': 1} AS thing, DATE '2020-01-01' AS day, "
        f"'x'::BLOB AS image) TO '{path}'"
    )
    found = import_bytes(tmp_path, "p.parquet", path.read_bytes())
    assert rows_of(tmp_path, found) == [
        {"text": "a", "label": 1, "tags": ["B", "O"], "thing": {"a": 1}, "day": "2020-01-01"}
    ]


def test_a_profile_counts_over_all_row_groups(tmp_path: Path) -> None:
    """The profile is compared with a count of the same rows in Python."""
    dice = random.Random(0)
    texts = [f"{'é' * dice.randint(0, 50)} film {number % 30_000}" for number in range(60_000)]
    rows = [(text, f"{number % 1500}", "" if number % 7 else "x") for number, text in enumerate(texts)]
    content = "text,label,rare\n" + "".join(f"{', '.join(row)}\n" for row in rows)
    profile = profile_of(tmp_path, import_bytes(tmp_path, "a.csv", content.encode()))
    text, label, rare = profile.columns
    stripped = [text.strip() for text in texts]
    assert (profile.rows, profile.duplicates) == (60_000, 60_000 - len({(row[0].strip(), *row[1:]) for row in rows}))
    assert (label.distinct, rare.distinct, rare.missing) == (1500, 1, sum(not row[2] for row in rows))
    assert rare.values == [("x", 60_000 - rare.missing)]
    assert text.distinct == pytest.approx(len(set(stripped)), rel=0.06)
    assert text.lengths is not None
    assert (text.lengths.longest, sum(text.lengths.counts)) == (max(map(len, stripped)), 60_000)
    assert text.lengths.mean == pytest.approx(sum(map(len, stripped)) / 60_000, abs=0.06)


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    found = import_bytes(tmp_path, "a.csv.gz", gzip.compress(b"text,label\nx,1\ny,0\n"))
    assert found.startswith("imported:a-")
    assert [row["text"] for row in rows_of(tmp_path, found)] == ["x", "y"]


def test_lines_may_end_in_two_ways_and_keep_their_numbers(tmp_path: Path) -> None:
    lines = [f"film {number},{number % 2}" for number in range(9000)]
    lines[8000] = "ragged"
    content = "text,label\r\n" + "\r\n".join(lines[:5000]) + "\r\n" + "\n".join(lines[5000:]) + "\n"
    found = import_bytes(tmp_path, "a.csv", content.encode())
    profile = profile_of(tmp_path, found)
    assert (profile.rows, [row.line for row in profile.rejected]) == (8999, [8002])
    assert {row["label"] for row in rows_of(tmp_path, found)} == {"0", "1"}
    assert sorted(path.name for path in (tmp_path / "imported").glob("*/1/*")) == [
        "profile.json",
        "rows.parquet",
        "source",
    ]


def test_an_error_in_the_middle_of_the_rows_is_the_readers(tmp_path: Path) -> None:
    query = "SELECT CASE WHEN i = 500000 THEN error('broken here') ELSE 'x' END AS c0 FROM range(1000000) t(i)"
    with pytest.raises(duckdb.Error, match="broken here"):
        write_parquet_file(duckdb.connect(), query, 1, tmp_path / "rows.parquet", tmp_path, 10**9)


def test_an_error_does_not_tell_where_the_data_folder_is(tmp_path: Path) -> None:
    table = pa.table({"text": pa.array([b"\xff"], pa.binary()).view(pa.string())})
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(BrokenFile, match="not valid UTF8") as caught:
        import_bytes(tmp_path, "p.parquet", (tmp_path / "p.parquet").read_bytes())
    assert str(tmp_path) not in caught.value.problem


BROKEN = {
    "empty": (b"", "It is empty."),
    "header only": (b"text,label\n", "It has a header but no rows."),
    "no good row": (b"a,b\n1\n2\n", "None of its rows can be read. Line 2: It has 1 field, but the header has 2."),
    "two columns of one name": (b"a,a\n1,2\n", "Two columns are named 'a'."),
    "zip": (b"PK\x03\x04rest", "zip archive"),
    "compressed twice": (gzip.compress(gzip.compress(b"a,b\n1,2\n")), "compressed twice"),
    "cut archive": (gzip.compress(b"text,label\nx,1\n" * 100)[:-12], "compressed data is damaged"),
    "cut parquet": (b"PAR1" + bytes(100), "It can't be read"),
    "cut object": (b'{"a": ', "None of its rows can be read. Line 1: It is not JSON"),
    "cut list": (b'[{"text": "a"}, {"text":', "Element 2 of the list can't be read"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_explained_and_leaves_nothing_but_the_upload(tmp_path: Path, case: str) -> None:
    content, expected = BROKEN[case]
    upload_id = put_upload(tmp_path, "a.json" if case in ("cut list", "cut object") else "a.csv", content)
    with pytest.raises(BrokenFile) as caught:
        import_upload(Folders(tmp_path), upload_id, lambda _: None)
    assert expected in caught.value.problem
    assert caught.value.next_step
    assert sorted(path.name for path in (tmp_path / "uploads" / upload_id).iterdir()) == ["source", "upload.json"]
    assert not (tmp_path / "imported").exists()


def test_a_small_archive_of_a_huge_file_is_refused_while_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = gzip.compress(b"text,label\n" + b"x,1\n" * 3_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(BrokenFile, match="when it is unpacked"):
        import_bytes(tmp_path, "a.csv.gz", bomb)


def test_a_small_parquet_file_of_countless_rows_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_rows, "MAX_ROWS", 10_000)
    path = tmp_path / "p.parquet"
    duckdb.sql(f"COPY (SELECT 'same' AS text FROM range(100_000)) TO '{path}'")
    assert path.stat().st_size < 10_000
    upload_id = put_upload(tmp_path, "p.parquet", path.read_bytes())
    monkeypatch.setattr(write_rows, "_write", lambda *_: pytest.fail("rows were written"))
    with pytest.raises(BrokenFile, match="more than 10,000 rows"):
        import_upload(Folders(tmp_path), upload_id, lambda _: None)


def test_a_small_parquet_file_of_texts_that_repeat_is_refused_by_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each text is stored only once, so no header shows how large the rows are."""
    path = tmp_path / "p.parquet"
    duckdb.sql(f"COPY (SELECT repeat('x', 1_000_000) AS text FROM range(60)) TO '{path}'")
    assert path.stat().st_size < 100_000
    found = import_bytes(tmp_path, "p.parquet", path.read_bytes())
    assert profile_of(tmp_path, found).rows == 60
    monkeypatch.setattr(write_rows, "_LONGEST_ROW", 999_999)
    with pytest.raises(BrokenFile, match="a row with 1 MB"):
        import_bytes(tmp_path, "p.parquet", path.read_bytes())
    monkeypatch.setattr(write_rows, "MAX_UNPACKED_BYTES", 50_000_000)
    with pytest.raises(BrokenFile, match=r"texts have 0\.1 GB when they are unpacked"):
        import_bytes(tmp_path, "p.parquet", path.read_bytes())


def test_a_split_of_an_imported_set_is_that_of_the_file(tmp_path: Path) -> None:
    """So moving a file from the datasets folder to an import changes no run."""
    content = "text,label\n" + "".join(f'" film {n}, seen ",{n % 3}\n' for n in range(300))
    settings = Settings(_env_file=None, data_dir=tmp_path)
    settings.datasets_dir.mkdir()
    (settings.datasets_dir / "films.csv").write_text(content)
    catalog = Catalog(settings)
    sides = [
        split(catalog.dataset(dataset_id), DataConfig(id=dataset_id, max_train_rows=100), DEFAULT_TASK)
        for dataset_id in ("local:films.csv", import_bytes(tmp_path, "films.csv", content.encode()))
    ]
    assert len(sides[0].train) == 100
    assert sides[0] == sides[1]


def test_a_damaged_parquet_file_is_explained(tmp_path: Path) -> None:
    found = import_bytes(tmp_path, "a.csv", b"text,label\nx,1\ny,0\n")
    entry = Catalog(Settings(_env_file=None, data_dir=tmp_path)).dataset(found)
    size = entry.path.stat().st_size
    entry.path.write_bytes(entry.path.read_bytes()[: size // 2] + bytes(size - size // 2))
    with pytest.raises(BrokenFile, match="can't be read"), entry.open():
        pass
