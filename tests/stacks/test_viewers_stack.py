"""Many viewers of one run while the server is killed and started again."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rankscope.contract.config import RunConfig
from rankscope.contract.events import MetricsEvent
from rankscope.contract.status import RunStatus
from rankscope.store import queue, runs
from rankscope.store.database.engine import create_engine, reading, writing
from rankscope.store.doorbell import Doorbell
from rankscope.store.history import events
from rankscope_worker.child.recorder import Recorder
from tests.backend.conftest import CONFIG
from tests.faults.viewers import Viewer
from tests.forked_commands import ForkedCommands
from tests.stack import Stack, wait_for

VIEWERS = 50


def _have_all_seen(viewers: Iterable[Viewer], step: int) -> bool:
    return all(viewer.step >= step for viewer in viewers)


def test_fifty_viewers_see_every_event_once_though_the_server_is_killed_twice(
    tmp_path: Path, forked: ForkedCommands
) -> None:
    stack = Stack(tmp_path / "data", forked=forked, lease_s=600)
    try:
        stack.start_valkey()
        stack.start_api()
        engine = create_engine(stack.settings.resolved_database_url)
        with writing(engine) as session:
            run_id = runs.create_run(session, RunConfig.model_validate(CONFIG), now=time.time()).id
        with writing(engine) as session:
            claimed = queue.claim_next(session, worker="w", has_gpu=False, lease_s=600, now=time.time())
        assert claimed is not None
        recorder = Recorder(engine, Doorbell(stack.settings.broker_url), run_id, claimed.attempt)
        recorder.begin_training(0)
        viewers = [Viewer(stack.url, run_id) for _ in range(VIEWERS)]
        for step in range(300):
            recorder.record(MetricsEvent(step=step, values={"train_loss": 1.0}))
            if step in (100, 200):
                recorder.flush()
                wait_for("all to watch", partial(_have_all_seen, viewers, step))
                stack.kill("api")
            if step in (150, 250):
                stack.start_api()
        recorder.close()
        with writing(engine) as session:
            runs.transition(session, runs.get_run(session, run_id), RunStatus.done, now=time.time())
        assert all(viewer.join(60) for viewer in viewers)
        with reading(engine) as session:
            recorded = events.read_after(session, run_id, 0)
        engine.dispose()
        assert len(recorded) > 300
        for viewer in viewers:
            assert viewer.events == recorded
            assert viewer.connections >= 3
    finally:
        stack.stop()
