"""Results of evaluation rows: paged by loss from both ends, of the newest attempt that saved them."""

from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import update

from rankscope.contract.evaluation.results import RESULTS_FILE, ResultsHeader, StoredRow
from rankscope.contract.tables import Run
from rankscope.store.database.engine import writing
from tests.backend.conftest import Server


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def lines(count: int) -> list[ResultsHeader | StoredRow]:
    losses = [float("nan"), *(1 / (number + 1) for number in range(count - 1))]
    return [
        ResultsHeader(step=9, rows=count, kept_rows=count, labels=["a", "b"], confusion=[[1, 2], [0, 3]]),
        *(
            StoredRow(row=row, inputs={"text": f"text {row}"}, target="a", prediction="b", loss=loss, is_right=False)
            for row, loss in enumerate(losses)
        ),
    ]


def test_rows_are_paged_by_loss_from_both_ends(api: httpx.Client, launch: Callable[..., str], server: Server) -> None:
    run_id = launch()
    url = f"/api/v1/runs/{run_id}/results"
    early = api.get(url)
    assert early.status_code == 404
    assert early.json()["detail"] == f"Run {run_id} has no results; it is queued."
    folder = server.settings.attempt_dir(run_id, 1)
    folder.mkdir(parents=True)
    (folder / RESULTS_FILE).write_text("".join(f"{line.model_dump_json()}\n" for line in lines(5)), encoding="utf-8")
    with writing(server.app.state.resources.engine) as session:
        session.execute(update(Run).values(attempt=2))

    def page(**query: str | int) -> tuple[list[int], int | None]:
        found = api.get(url, params=query).json()
        return [row["row"] for row in found["items"]], found["next_offset"]

    assert page(limit=2) == ([0, 1], 2)
    assert page(limit=2, offset=4) == ([4], None)
    assert page(limit=2, offset=9) == ([], None)
    assert page(order="best", limit=2) == ([4, 3], 2)
    assert page(order="best", limit=2, offset=4) == ([0], None)
    found = api.get(url).json()
    assert found["summary"]["confusion"] == [[1, 2], [0, 3]]
    assert found["items"][0]["loss"] == "NaN"
    assert api.get(url, params={"order": "longest"}).status_code == 422
