"""The recordings that the page is tested with equal the server's current responses."""

import json
from pathlib import Path

import pytest

from rankscope.contract.events import EventKind
from tests.page_recordings import FOLDER, LIVES, installation, record, shape

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.mark.parametrize("name", LIVES)
def test_recording_equals_what_the_server_sends(name: str, made: Path) -> None:
    committed = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert shape(record(name, made)) == shape(committed), "run `make recordings` and look at the difference"


def test_recordings_contain_every_kind_of_event() -> None:
    seen = {
        event["kind"]
        for path in FOLDER.glob("*.json")
        for event in json.loads(path.read_text(encoding="utf-8"))["events"]
    }
    assert {path.stem for path in FOLDER.glob("*.json")} == set(LIVES)
    assert seen == set(EventKind.__args__)  # type: ignore[attr-defined]
