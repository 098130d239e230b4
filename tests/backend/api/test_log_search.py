"""Text search in a log: case-insensitive, across block boundaries, one page at a time."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankscope.api.log_search import LINE_BYTES, search

Lines = st.lists(st.text(alphabet="aAbB éÉ", max_size=12), max_size=30)


def naive(content: bytes, text: str) -> list[tuple[int, str]]:
    found, offset = [], 0
    for line in content.split(b"\n"):
        if text.lower() in line.decode().lower():
            found.append((offset, line.decode()))
        offset += len(line) + 1
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=Lines,
    text=st.text(alphabet="aB é", min_size=1, max_size=3),
    block=st.integers(1, 40),
    limit=st.integers(1, 5),
)
def test_search_finds_what_a_loop_over_the_lines_finds_page_by_page(
    tmp_path: Path, lines: list[str], text: str, block: int, limit: int
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes("\n".join(lines).encode())
    found: list[tuple[int, str]] = []
    start: int | None = 0
    while start is not None:
        page = search(path, text, start=start, limit=limit, is_growing=False, block_bytes=block)
        assert len(page.lines) <= limit
        assert page.size == path.stat().st_size
        found += page.lines
        start = page.next_from
    assert found == naive(path.read_bytes(), text)


def test_the_unfinished_line_of_a_growing_log_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("one error\nanother err")
    assert search(path, "err", start=0, limit=9, is_growing=True).lines == [(0, "one error")]
    assert search(path, "err", start=0, limit=9, is_growing=False).lines == [(0, "one error"), (10, "another err")]


@pytest.mark.parametrize("at", [0, 1500, 50_000, 99_990])
def test_the_part_of_an_endless_line_around_the_match_is_shown_once(tmp_path: Path, at: int) -> None:
    path = tmp_path / "log.txt"
    line = bytearray(b"." * 100_000)
    line[at : at + 6] = b"Needle"
    path.write_bytes(b"before\n" + line + b"\nneedle after\r\n")
    found = search(path, "needle", start=0, limit=9, is_growing=False, block_bytes=4096)
    (offset, shown), last = found.lines
    assert (offset, last) == (7, (7 + 100_001, "needle after"))
    assert "Needle" in shown
    assert len(shown) <= LINE_BYTES


def test_search_starts_at_a_byte_and_returns_where_to_continue(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("x1\ny\nx2\nx3\n")
    first = search(path, "X", start=0, limit=2, is_growing=False)
    assert (first.lines, first.next_from, first.size) == ([(0, "x1"), (5, "x2")], 8, 11)
    rest = search(path, "X", start=8, limit=2, is_growing=False)
    assert (rest.lines, rest.next_from) == ([(8, "x3")], None)
    assert search(path, "x", start=10**9, limit=2, is_growing=False).lines == []
