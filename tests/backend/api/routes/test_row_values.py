"""Numbers of evaluation rows: paged in the order of the rows, of the last and the best evaluation."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from rankscope.contract.evaluation.row_values import encode_row_values, read_row_values, row_values_file
from rankscope.contract.tables import Run
from rankscope.store.database.engine import writing
from tests.backend.conftest import Server


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def test_rows_are_paged_in_their_order_and_go_with_their_run(
    api: httpx.Client, launch: Callable[..., str], server: Server
) -> None:
    run_id = launch()
    url = f"/api/v1/runs/{run_id}/row-values"
    early = api.get(url)
    assert (early.status_code, early.json()["detail"]) == (
        404,
        f"Run {run_id} has no values of its evaluation rows; it is queued.",
    )
    folder = server.settings.attempt_dir(run_id, 1)
    folder.mkdir(parents=True)
    content = encode_row_values(9, {"accuracy": [True, False, True], "loss": [0.5, float("nan"), 0.25]})
    (folder / row_values_file("final")).write_bytes(content)
    (folder / row_values_file("best")).write_bytes(encode_row_values(4, {"mse": [1.0]}))
    with writing(server.app.state.resources.engine) as session:
        run = session.get_one(Run, run_id)
        run.attempt = 2
        session.add(run)
    found = api.get(url).json()
    assert found == {
        "step": 9,
        "rows": 3,
        "offset": 0,
        "values": {"accuracy": [1.0, 0.0, 1.0], "loss": [0.5, "NaN", 0.25]},
        "next_offset": None,
    }
    page = api.get(url, params={"offset": 1, "limit": 1}).json()
    assert (page["values"]["accuracy"], page["next_offset"]) == ([0.0], 2)
    assert api.get(url, params={"at": "best"}).json()["values"] == {"mse": [1.0]}
    (folder / row_values_file("final")).write_bytes(content[:-3])
    assert "can't be read" in api.get(url).json()["detail"]
    assert api.delete(f"/api/v1/runs/{run_id}").status_code == 204
    assert not folder.exists()


@pytest.mark.parametrize("damage", [b"", b"{}\n", b'{"step": 1, "rows": 9, "names": ["a"]}\nx', b"x" * 20_000])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "row_values_final.bin"
    file.write_bytes(damage)
    with pytest.raises(ValueError, match=r"row_values_final|validation error"):
        read_row_values(file)


def test_a_file_cannot_unpack_to_more_than_its_header_says(tmp_path: Path) -> None:
    file = tmp_path / "row_values_final.bin"
    header, _, packed = encode_row_values(1, {"a": [0.0] * 100_000}).partition(b"\n")
    file.write_bytes(header.replace(b"100000", b"10") + b"\n" + packed)
    with pytest.raises(ValueError, match="41 bytes of values instead of 40"):
        read_row_values(file)
