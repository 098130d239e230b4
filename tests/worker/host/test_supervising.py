"""The supervising side without processes: the meaning of an ending, and the environment of a child."""

import logging
from pathlib import Path
from typing import Any

import pytest
from kombu.message import Message

from rankscope.contract.batch import smaller_batch
from rankscope.contract.status import RunStatus
from rankscope.settings import Settings
from rankscope_worker.exit_report import EndNote, ExitCode, read_note, write_note
from rankscope_worker.host.celery_app import QUEUE, Nudger, make_celery, own_queue
from rankscope_worker.host.endings import StopOrigin, classify, last_error_line
from rankscope_worker.host.gpus import Gpu
from rankscope_worker.host.supervisor import child_environment
from tests.conftest import Broker

CONFIG: dict[str, Any] = {"training": {"batch_size": 16, "gradient_accumulation": 1}}
GPU = Gpu(2, "GPU-c", "NVIDIA H100", 81559 << 20, 5 << 20)


@pytest.mark.parametrize(
    ("code", "stop_origin", "note", "status", "reason", "counts"),
    [
        (0, "none", EndNote("done"), RunStatus.done, None, False),
        (0, "user", EndNote("done"), RunStatus.done, None, False),
        (10, "user", EndNote("stopped", step=7), RunStatus.stopped, "stopped_saved", False),
        (11, "user", EndNote("stopped"), RunStatus.stopped, "stopped_unsaved", False),
        (-15, "user", None, RunStatus.stopped, "stopped_unsaved", False),
        (10, "drain", EndNote("stopped", step=7), None, "worker_drained", False),
        (-9, "drain", None, None, "worker_drained", False),
        (10, "none", EndNote("stopped", step=7), None, "child_stopped", True),
        (20, "none", EndNote("bad_input", "why"), RunStatus.failed, "bad_input", False),
        (21, "none", EndNote("out_of_memory", "why"), RunStatus.failed, "out_of_memory", False),
        (21, "none", EndNote("out_of_gpu_memory", "why"), RunStatus.failed, "out_of_gpu_memory", False),
        (23, "none", EndNote("disk_full", "why"), RunStatus.failed, "disk_full", False),
        (23, "none", None, RunStatus.failed, "disk_full", False),
        (22, "user", EndNote("nan_loss", "why"), RunStatus.failed, "nan_loss", False),
        (-9, "none", None, None, "child_killed", True),
        (137, "none", None, None, "child_killed", True),
        (-11, "none", None, None, "child_killed", True),
        (1, "none", EndNote("error", "ValueError: x"), RunStatus.failed, "error", False),
        (1, "none", None, RunStatus.failed, "error", False),
    ],
)
def test_every_exit_has_a_meaning(
    tmp_path: Path,
    code: int,
    stop_origin: StopOrigin,
    note: EndNote | None,
    status: RunStatus | None,
    reason: str,
    counts: bool,
) -> None:
    ending = classify(code, stop_origin, note, tmp_path / "log.txt", CONFIG, None)
    assert (ending.status, ending.reason, ending.counts) == (status, reason, counts)
    assert ending.message or status == RunStatus.done


def test_out_of_memory_says_what_to_do(tmp_path: Path) -> None:
    ending = classify(ExitCode.out_of_memory, "none", None, tmp_path, CONFIG, None)
    assert ending.next_step == (
        "Retry with batch_size 8 and gradient_accumulation 2: the same training in less memory."
    )
    assert smaller_batch({"training": {"batch_size": 9, "gradient_accumulation": 2}}) == (3, 6)
    assert smaller_batch({"training": {"batch_size": 7}}) == (1, 7)
    assert smaller_batch({"training": {"batch_size": 1}}) is None


def test_an_unrequested_end_includes_the_line_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("step 1\nTraceback\nKeyError: 'a'\n")
    assert classify(-9, "none", None, log, CONFIG, None).cause == "KeyError: 'a'"
    assert classify(21, "none", EndNote("out_of_gpu_memory", "CUDA out of memory."), log, CONFIG, None).cause
    assert classify(1, "none", None, log, CONFIG, None).cause is None  # the message already has that line
    assert classify(-9, "drain", None, log, CONFIG, None).cause is None
    killed = classify(-9, "none", None, log, CONFIG, None, was_out_of_memory=True)
    assert (killed.status, killed.reason, killed.counts) == (None, "out_of_memory", True)
    assert classify(-11, "none", None, log, CONFIG, None, was_out_of_memory=True).reason == "child_killed"


def test_a_child_that_reports_its_end_includes_its_last_warning(tmp_path: Path) -> None:
    log, note = tmp_path / "log.txt", EndNote("nan_loss", "The loss is NaN since step 4.")
    lines = [
        "2026-11-25 07:16:10,298 WARNING The loss is nan at step 4.",
        "2026-11-25 07:16:13,355 INFO Ended: nan loss.",
    ]
    log.write_text("\n".join(lines))
    assert classify(ExitCode.nan_loss, "none", note, log, CONFIG, None).cause == lines[0]
    log.write_text(lines[1])
    assert classify(ExitCode.nan_loss, "none", note, log, CONFIG, None).cause is None


def test_a_child_that_had_to_be_killed_is_reported_as_such(tmp_path: Path) -> None:
    ending = classify(-9, "user", None, tmp_path, CONFIG, 60.0)
    assert ending.message == "It did not stop within 60 s and was killed."


def test_the_cause_is_the_last_error_line_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "loading: fine\nTraceback (most recent call last):\n  File x\nKeyError: 'a'\n\nValueError: shapes differ: 1, 2\nbye\n"
    )
    assert last_error_line(log) == "ValueError: shapes differ: 1, 2"
    log.write_text("step 1\nSegmentation fault\n")
    assert last_error_line(log) == "Segmentation fault"
    assert last_error_line(tmp_path / "none.txt") is None


def test_a_note_is_read_after_the_child_ended_and_an_invalid_one_is_none(tmp_path: Path) -> None:
    assert read_note(tmp_path) is None
    write_note(tmp_path, EndNote("stopped", step=3))
    assert read_note(tmp_path) == EndNote("stopped", step=3)
    (tmp_path / "end.json").write_text('{"reas')
    assert read_note(tmp_path) is None


def test_a_child_sees_only_its_gpu_and_absolute_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    settings = Settings(data_dir=Path("data"), lease_s=7)
    environment = child_environment(settings, GPU, 3)
    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-c"
    assert environment["RANKSCOPE_DATA_DIR"] == str(tmp_path / "data")
    assert environment["RANKSCOPE_DATABASE_URL"] == f"sqlite:///{tmp_path / 'data' / 'rankscope.db'}"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert child_environment(settings, None, 3)["CUDA_VISIBLE_DEVICES"] == ""


def test_celery_never_redelivers_a_message(tmp_path: Path) -> None:
    conf = make_celery(Settings(data_dir=tmp_path)).conf
    assert (conf.task_acks_late, conf.worker_prefetch_multiplier, conf.worker_disable_prefetch) == (False, 1, True)
    assert conf.broker_connection_max_retries is None
    assert conf.broker_transport_options["visibility_timeout"] == 7 * 24 * 3600


@pytest.mark.parametrize("queue", [QUEUE, own_queue("w")])
def test_a_message_whose_acknowledgement_is_lost_does_not_block_the_next(
    tmp_path: Path, own_broker: Broker, queue: str
) -> None:
    settings = Settings(data_dir=tmp_path, broker_url=own_broker.url)
    app = make_celery(settings, own_queue("w"))
    app.amqp.queues.select([queue])
    received = []
    with app.connection_for_read() as connection:

        def receive(message: Message) -> None:
            own_broker.stop()
            message.ack_log_error(logging.getLogger(), connection.connection_errors)  # type: ignore[no-untyped-call]
            received.append(message)

        consumer = app.amqp.TaskConsumer(connection.default_channel, on_message=receive)
        consumer.qos(prefetch_count=1)
        consumer.consume()
        Nudger(settings, queue, timeout_s=5.0).nudge()
        connection.drain_events(timeout=30)
        assert len(received) == 1
        assert consumer.channel.qos.can_consume()
