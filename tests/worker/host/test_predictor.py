"""The predictor without a worker around it: whatever happens to its child stands on the board."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankscope.contract.predictions import Prediction
from rankscope.embedded import free_port
from rankscope.launch.enqueue import Nudger as ApiNudger
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine
from rankscope.store.doorbell import Doorbell
from rankscope.store.predictions import PredictionBoard
from rankscope_worker.host.celery_app import Nudger, make_celery
from rankscope_worker.host.host import Host
from rankscope_worker.host.predictor import Predictor
from tests.conftest import Broker
from tests.stack import wait_for


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def host(settings: Settings, database_url: str) -> Iterator[Host]:
    engine = create_engine(database_url)
    yield Host(
        name="w",
        settings=settings,
        engine=engine,
        doorbell=Doorbell(settings.broker_url),
        celery=make_celery(settings),
        nudger=Nudger(settings),
        gpus=[],
        slots=1,
    )
    engine.dispose()


@pytest.fixture
def answered(host: Host) -> Iterator[Callable[..., Prediction]]:
    """Asks about a run that is not there, and returns what then stands on the board."""
    board = PredictionBoard(host.settings.broker_url)

    def ask(predictor: Predictor, status: str = "waiting") -> Prediction:
        question = Prediction.model_validate(
            {"id": "question", "run_id": "nothere", "attempt": 1, "status": status, "texts": ["a film"]}
        )
        board.put(question)
        predictor.answer("nothere", "question")
        found = board.get("nothere", "question")
        assert found is not None
        return found

    yield ask
    board.close()


def test_what_the_child_cannot_do_it_says_by_itself(host: Host, answered: Callable[..., Prediction]) -> None:
    found = answered(Predictor(host))
    assert (found.status, found.message) == ("failed", "There is no run 'nothere'.")
    assert found.next_step


def test_a_database_out_of_reach_is_not_taken_for_a_want_of_memory(
    host: Host, answered: Callable[..., Prediction]
) -> None:
    nobody = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    host.settings = host.settings.model_copy(update={"database_url": nobody})
    found = answered(Predictor(host))
    assert found.status == "failed"
    assert found.message is not None
    assert found.message.startswith("The worker cannot read the database: ")
    assert found.next_step == "Ask again once the database answers."


def test_a_child_that_breaks_is_reported_with_its_last_line(
    host: Host, answered: Callable[..., Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "peft.py").write_text("raise RuntimeError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = answered(Predictor(host))
    assert found.message == "The process that loads the models failed: RuntimeError: a broken installation"
    assert "memory" not in (found.next_step or "")


def test_a_child_that_was_killed_is_reported_as_killed(
    host: Host, answered: Callable[..., Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = answered(Predictor(host))
    assert found.message == "The process that loads the models was killed by signal 9 (Killed)."
    assert found.next_step == "Ask again."


def test_a_child_that_takes_too_long_is_ended(host: Host, answered: Callable[..., Prediction]) -> None:
    found = answered(Predictor(host, timeout_s=0.05))
    assert (found.status, found.message, found.next_step) == ("failed", "There was no answer within 0 s.", "Ask again.")


def test_a_worker_that_drains_answers_nothing_more(host: Host, answered: Callable[..., Prediction]) -> None:
    host.stop()
    found = answered(Predictor(host))
    assert (found.status, found.message) == ("failed", "The worker was shut down before it could answer.")


def test_a_message_that_comes_twice_is_answered_once(host: Host, answered: Callable[..., Prediction]) -> None:
    assert answered(Predictor(host), "running").status == "running"
    Predictor(host).answer("nothere", "expired")  # nobody waits any more


def test_questions_are_taken_again_once_the_broker_is_back(host: Host, own_broker: Broker) -> None:
    host.settings = host.settings.model_copy(update={"broker_url": own_broker.url})
    predictor, board, nudger = Predictor(host), PredictionBoard(own_broker.url), ApiNudger(own_broker.url)
    predictor.start()
    own_broker.stop()
    own_broker.start()
    question = Prediction(id="question", run_id="nothere", attempt=1, texts=["a film"])
    board.put(question)
    assert nudger.predict("nothere", "question")

    def is_answered() -> bool:
        found = board.get("nothere", "question")
        return found is not None and found.status == "failed"

    wait_for("an answer", is_answered, deadline_s=120)
    host.stop()
    predictor.stop()
    assert not any(thread.name == "predictor" for thread in threading.enumerate())
    nudger.close()
    board.close()
