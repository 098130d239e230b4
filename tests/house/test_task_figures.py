"""The table of docs/tasks.md has the stored figures of the trainings: no number is typed by hand."""

from tests.bench.task_learning.table import PAGE, stored_rows, table


def test_the_page_has_the_table_of_the_stored_figures() -> None:
    assert table(stored_rows()) in PAGE.read_text(encoding="utf-8"), "run `make bench-task-learning`"
