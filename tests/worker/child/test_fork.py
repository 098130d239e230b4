"""Forks: a child continues exactly from its parent's checkpoint, and differs only in the changed settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig, Steering
from rankscope.contract.errors import BadInput, NotFound
from rankscope.contract.tables import Run
from rankscope.launch.fork import find_origin, plan_fork, take_checkpoint
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from tests.worker.child.test_training import Life

Plan = Callable[..., RunPlan]
NAME = "adapter/adapter_model.safetensors"


class Family:
    """A parent that has been trained in `settings.runs_dir`, and forks of it."""

    def __init__(self, data_dir: Path, folder: Path, plan: RunPlan) -> None:
        self.data_dir = data_dir
        self.settings = Settings(data_dir=folder)
        self.catalog = Catalog(Settings(data_dir=data_dir))
        self.life = Life(data_dir, plan.config, self.settings.runs_dir / "parent")
        last = self.life.ranks().get(20)
        self.parent = Run(
            id="parent",
            name="p",
            queue_order=0,
            config=plan.config.model_dump(mode="json"),
            created_at=0,
            updated_at=0,
            environment=plan.environment,
            method=plan.config.method.name,
            model_id="m",
            data_id="d",
            attempt=1,
            live=last.live if last else None,
            n_modules=plan.n_modules,
        )

    def plan(self, step: int, changes: dict[str, Any]) -> RunConfig:
        return plan_fork(self.parent, find_origin(self.settings, self.parent, step, None), changes, self.catalog).config

    def fork(self, step: int, changes: dict[str, Any], name: str) -> Life:
        config = self.plan(step, changes)
        origin = find_origin(self.settings, self.parent, step, None)
        take_checkpoint(origin, self.parent, self.settings.checkpoint_dir(name, 0, step))
        return Life(self.data_dir, config, self.settings.runs_dir / name)

    def refusals(self, step: int, changes: dict[str, Any]) -> dict[str, str]:
        with pytest.raises(BadInput) as refused:
            self.plan(step, changes)
        return {problem.field: f"{problem.message} | {problem.next_step}" for problem in refused.value.problems}


@pytest.fixture(scope="module")
def family(data_dir: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Window 3 to 10: the mask is open at step 5 and 8, final at 12 and 16."""
    return Family(
        data_dir, tmp_path_factory.mktemp("family"), plan(checkpoint_every=1, keep_checkpoints=20, keep_best=False)
    )


@pytest.mark.parametrize("step", [5, 10, 13])
def test_a_fork_without_changes_continues_exactly_like_its_parent(family: Family, step: int) -> None:
    child = family.fork(step, {}, f"same{step}")
    assert child.ready == [step]
    assert child.outcome.kind == "done"
    after = {key: value for key, value in family.life.metrics().items() if key[1] > step and key[0] != "dem"}
    assert {key: value for key, value in child.metrics().items() if key[0] != "dem" and key[1] > step} == after
    assert {at: event.mask for at, event in child.ranks().items()} == {
        at: event.mask for at, event in family.life.ranks().items() if at >= step
    }
    assert (child.folder / NAME).read_bytes() == (family.life.folder / NAME).read_bytes()


def test_a_fork_trains_at_its_own_learning_rate_from_the_first_step(family: Family) -> None:
    rate, total, step = 2e-3, 30, 12
    child = family.fork(step, {"training": {"learning_rate": rate, "max_steps": total, "lr_warmup_ratio": 0}}, "rate")
    rates = {at: value for (name, at), value in child.metrics().items() if name == "learning_rate"}
    assert sorted(rates) == list(range(13, 31))
    # Linear to zero over the fork's own steps.
    for at, value in rates.items():
        assert value == pytest.approx(rate * (total - (at - 1)) / total, rel=1e-12)
    assert child.ranks()[30].live == family.life.ranks()[20].live
    assert child.ranks()[30].final


def test_a_fork_before_the_final_mask_may_go_to_another_budget_on_another_schedule(family: Family, plan: Plan) -> None:
    changes = {"method": {"target_rank": 1, "prune_interval": 3}, "training": {"max_steps": 40}}
    child = family.fork(5, changes, "budget")
    pruned = child.of("prune")
    assert [event.step for event in pruned] == [6, 9, 12, 15, 18, 20]
    assert child.ranks()[40].live == plan().n_modules
    assert child.ranks()[5].mask == family.life.ranks()[5].mask


def test_changes_that_a_checkpoint_does_not_allow_are_refused_with_the_reason(family: Family) -> None:
    late, early = 13, 5
    assert "final by step 13" in family.refusals(late, {"method": {"target_rank": 1}})["changes.method.target_rank"]
    above = family.refusals(late, {"method": {"target_rank": 3}})["changes.method.target_rank"]
    assert above.startswith(
        "is 3, above the mean rank 2.00 that is live since the final mask; pruned components were removed"
    )
    assert (
        "final by step" in family.refusals(late, {"method": {"prune_end_ratio": 0.9}})["changes.method.prune_end_ratio"]
    )
    window = family.refusals(8, {"method": {"warmup_ratio": 0.0, "prune_end_ratio": 0.4}})
    assert "no final mask yet" in window["changes.method.prune_end_ratio"]
    assert (
        "is 13: the checkpoint is of step 13"
        in family.refusals(late, {"training": {"max_steps": 13}})["changes.training.max_steps"]
    )
    for changes, field in (
        ({"model": {"id": "local:tiny-bert-2"}}, "changes.model.id"),
        ({"data": {"max_train_rows": 50}}, "changes.data.max_train_rows"),
        ({"method": {"initial_rank": 4}}, "changes.method.initial_rank"),
        ({"method": {"lora_alpha": 4}}, "changes.method.lora_alpha"),
        ({"training": {"seed": 1}}, "changes.training.seed"),
        ({"training": {"learning_rat": 1}}, "changes.training.learning_rat"),
        ({"steering": [{"step": 1, "action": "hold"}]}, "changes.steering"),
    ):
        assert list(family.refusals(early, changes)) == [field]
    with pytest.raises(NotFound, match="keeps no checkpoint of step 99") as missing:
        find_origin(family.settings, family.parent, 99, None)
    assert missing.value.next_step.startswith("There is one of step 1, 2, 3")


def test_a_fork_keeps_the_steered_target_and_may_change_it_back(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    made = plan(checkpoint_every=1, keep_checkpoints=20, keep_best=False)
    config = made.config.model_copy(update={"steering": [Steering(step=5, action="target", target_rank=1)]})
    family = Family(data_dir, tmp_path, RunPlan(**vars(made) | {"config": config}))
    assert family.life.ranks()[20].live == made.n_modules
    same = family.fork(6, {}, "same")
    assert (same.folder / NAME).read_bytes() == (family.life.folder / NAME).read_bytes()
    assert family.plan(6, {}).method.model_dump()["target_rank"] == 1
    back = family.fork(6, {"method": {"target_rank": 2}}, "back")
    assert back.ranks()[20].live == 2 * made.n_modules
    assert family.plan(4, {}).method.model_dump()["target_rank"] == 2


def test_a_forks_checkpoint_outlives_its_parents(family: Family) -> None:
    origin = find_origin(family.settings, family.parent, 16, None)
    taken = family.settings.checkpoint_dir("kept", 0, 16)
    size = take_checkpoint(origin, family.parent, taken)
    assert size == sum(path.stat().st_size for path in origin.path.rglob("*") if path.is_file())
    (origin.path / "trainer_state.json").unlink()
    assert (taken / "trainer_state.json").is_file()
    with pytest.raises(NotFound, match="step-16 of run parent is missing or damaged"):
        take_checkpoint(origin, family.parent, family.settings.checkpoint_dir("late", 0, 16))
    assert not family.settings.checkpoint_dir("late", 0, 16).exists()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_runs_without_moving_ranks_fork_too(data_dir: Path, plan: Plan, tmp_path: Path, method: str) -> None:
    made = plan(method, max_steps=8, checkpoint_every=4, keep_best=False)
    family = Family(data_dir, tmp_path, made)
    child = family.fork(4, {"training": {"weight_decay": 0.5}}, "child")
    assert child.outcome.kind == "done"
    losses = [value for (name, _), value in child.metrics().items() if name == "train_loss"]
    before = [value for (name, at), value in family.life.metrics().items() if name == "train_loss" and at > 4]
    # The first loss is recorded before its first step.
    assert losses[0] == before[0]
    assert losses[-1] != before[-1]
    field = "changes.method.rank" if method == "lora" else "changes.method.name"
    wish = {"method": {"rank": 3}} if method == "lora" else {"method": {"name": "lora"}}
    assert field in family.refusals(4, wish)
