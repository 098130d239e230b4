"""Health of real trainings: each fails in a different way, and is recorded by the real recorder in a real database."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import split
from rankscope.contract.config import RunConfig, Steering
from rankscope.health.facts import Finding
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope.store import queue, runs
from rankscope.store.database.engine import writing
from rankscope.store.doorbell import Doorbell
from rankscope_worker.child.recorder import Recorder
from rankscope_worker.child.training import run_training
from tests.worker.health_now import findings

Plan = Callable[..., RunPlan]


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def train(engine: Engine, settings: Settings, data_dir: Path, tmp_path: Path) -> Callable[..., dict[str, Finding]]:
    """Trains a configuration as a worker's child does, and returns its health findings by code."""

    def train(config: RunConfig, model: Path | None = None) -> dict[str, Finding]:
        catalog = Catalog(Settings(data_dir=data_dir))
        with writing(engine) as session:
            run_id = runs.create_run(session, config, now=time.time(), total_steps=config.training.max_steps).id
            claim = queue.claim_next(session, worker="w", has_gpu=False, lease_s=30, now=time.time())
        assert claim
        recorder = Recorder(engine, Doorbell(settings.broker_url), run_id, claim.attempt)
        run_training(
            config,
            model or catalog.model(config.model.id).folder,
            split(catalog.dataset(config.data.id), config.data, config.task),
            settings.attempt_dir(run_id, claim.attempt),
            recorder.record,
            lambda: False,
            None,
            recorder.begin_training,
            recorder.flush,
        )
        recorder.close()
        with writing(engine) as session:
            queue.renew_lease(session, run_id, claim.attempt, lease_s=settings.lease_s, now=time.time())
        found = findings(engine, settings, run_id, time.time())
        assert len({item.code for item in found}) == len(found)
        return {item.code: item for item in found}

    return train


def steered(plan: RunPlan, *actions: Steering) -> RunConfig:
    return plan.config.model_copy(update={"steering": list(actions)})


def test_a_healthy_run_has_no_findings(train: Callable[..., Any], plan: Plan) -> None:
    assert train(plan("dynamic_rank").config) == {}
    assert train(plan("lora").config) == {}


def test_ranks_that_cannot_change(train: Callable[..., Any], plan: Plan) -> None:
    found = train(plan("dynamic_rank", {"initial_rank": 2}).config)
    assert found.keys() == {"ranks_never_move"}
    assert "initial_rank=2 equals target_rank" in found["ranks_never_move"].message


def test_scores_that_have_not_changed(train: Callable[..., Any], plan: Plan) -> None:
    found = train(plan("dynamic_rank", {"init": "zero_b"}, learning_rate=1e-20).config)
    assert "nothing has been learned yet" in found["scores_equal"].message
    assert found["scores_equal"].step == 20


def test_a_loss_and_scores_that_are_nan(train: Callable[..., Any], plan: Plan, data_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data_dir / "models" / "tiny-bert", broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["classifier.weight"] = torch.full_like(tensors["classifier.weight"], 3e38)  # finite, but the logits are not
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    found = train(plan("dynamic_rank").config, broken)
    assert found["loss_nan"].severity == "error"
    assert found["loss_nan"].message.startswith("The loss is nan at step 1. 3 losses since step 1")
    assert found["loss_nan"].next_step == "Lower learning_rate or max_grad_norm."
    assert "Scores are NaN at step 1" in found["scores_nan"].message
    assert found.keys() == {"loss_nan", "scores_nan"}


def test_modules_that_have_lost_every_component(train: Callable[..., Any], plan: Plan) -> None:
    found = train(plan("dynamic_rank", {"target_rank": 1, "initial_rank": 4, "score": "random"}).config)
    assert found.keys() == {"module_at_rank_0"}
    item = found["module_at_rank_0"]
    assert item.severity == "info"
    assert "bert.encoder.layer." in item.message
    assert "That is fine" in item.message


def test_a_budget_that_is_not_met_because_pruning_is_held(train: Callable[..., Any], plan: Plan) -> None:
    found = train(steered(plan("dynamic_rank"), Steering(step=7, action="hold")))
    assert found.keys() == {"budget_out_of_reach"}
    assert found["budget_out_of_reach"].message.startswith("Pruning has been held since step 7: ")
    found = train(steered(plan("dynamic_rank"), Steering(step=7, action="freeze")))
    assert found["budget_out_of_reach"].severity == "info"
    released = Steering(step=12, action="release")
    assert train(steered(plan("dynamic_rank"), Steering(step=7, action="hold"), released)) == {}
