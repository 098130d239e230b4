"""The tables of docs/study.md equal those of the stored answers: no number is typed by hand."""

from scripts.study.__main__ import ANSWERS, PAGE
from scripts.study.report import tables


def test_the_page_has_the_tables_of_the_stored_answers() -> None:
    assert tables(ANSWERS) in PAGE.read_text(encoding="utf-8"), "run `make study-report`"
