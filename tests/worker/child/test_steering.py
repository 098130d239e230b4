"""Steering: it reaches the training, is recorded, and is repeated by a resume or a reproduction."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from rankscope.contract.config import RunConfig, Steering
from rankscope.contract.events import RunEvent, SteerEvent
from rankscope.launch.plan import RunPlan
from rankscope_worker.steer_requests import SteerRequest, SteerRequestQueue
from tests.worker.child.test_training import Life

Plan = Callable[..., RunPlan]


def test_lines_may_arrive_in_parts_or_twice_and_an_invalid_one_is_ignored() -> None:
    steer_requests = SteerRequestQueue()
    first, second = SteerRequest("a", "hold"), SteerRequest("b", "target", 3)
    data = first.as_line() + b'{"else": 1}\nno json\n' + second.as_line() + first.as_line()
    for index in range(len(data)):
        steer_requests.feed(data[index : index + 1])
    assert steer_requests.take() == [first, second]
    assert steer_requests.take() == []


class SteeredLife(Life):
    """One attempt that receives `requests` {step: requests} in time for each step."""

    def __init__(
        self,
        data_dir: Path,
        config: RunConfig,
        run: Path,
        requests: dict[int, list[SteerRequest]],
        attempt: int = 1,
        stop_at: int | None = None,
    ) -> None:
        self.requests = requests
        super().__init__(data_dir, config, run, attempt, stop_at)

    def steer_requests(self) -> Iterable[SteerRequest]:
        losses = [event.step for event in self.events if event.kind == "metrics" and "train_loss" in event.values]
        # The current step's loss is recorded after this call; a resumed attempt's first step has no earlier loss.
        return self.requests.get((losses[-1] if losses else self.ready[-1]) + 1, [])


def steered(config: RunConfig, events: list[RunEvent]) -> RunConfig:
    """The configuration in the store after these events are stored."""
    done = [
        Steering(step=event.step, action=event.action, target_rank=event.target_rank)
        for event in events
        if event.kind == "steer" and event.refused is None
    ]
    return config.model_copy(update={"steering": done})


# Window 3 to 10, pruning at 3, 5, 7, 9, 10.
REQUESTS = {
    5: [SteerRequest("h", "hold")],
    7: [SteerRequest("t", "target", 1)],
    12: [SteerRequest("r", "release")],
    15: [SteerRequest("late", "freeze")],
}


def test_steering_requests_take_effect_at_their_step_and_are_recorded(
    data_dir: Path, plan: Plan, tmp_path: Path
) -> None:
    one = SteeredLife(data_dir, plan().config, tmp_path, REQUESTS)
    told = one.of("steer")
    assert [(event.step, event.action, event.request) for event in told] == [
        (5, "hold", "h"),
        (7, "target", "t"),
        (12, "release", "r"),
        (15, "freeze", "late"),
    ]
    assert [event.refused is None for event in told] == [True, True, True, False]
    assert "final since step 12" in str(told[-1].refused)
    assert [event.step for event in one.of("prune")] == [3, 12]
    assert [event.final for event in one.of("prune")] == [False, True]
    assert one.ranks()[20].live == plan().n_modules


def test_a_steered_run_resumes_exactly_and_its_configuration_reproduces_it(
    data_dir: Path, plan: Plan, tmp_path: Path
) -> None:
    config = plan(checkpoint_every=100, keep_best=False).config
    whole = SteeredLife(data_dir, config, tmp_path / "whole", REQUESTS)
    name = "adapter/adapter_model.safetensors"

    # Stopped before, between and after the requests. The configuration lists those that took effect; the rest are sent again.
    first = SteeredLife(data_dir, config, tmp_path / "cut", REQUESTS, stop_at=6)
    rest = {step: requests for step, requests in REQUESTS.items() if step > 6}
    second = SteeredLife(data_dir, steered(config, first.events), tmp_path / "cut", rest, attempt=2, stop_at=13)
    third = SteeredLife(data_dir, steered(config, [*first.events, *second.events]), tmp_path / "cut", {}, attempt=3)
    assert first.metrics() | second.metrics() | third.metrics() == whole.metrics()
    assert first.ranks() | second.ranks() | third.ranks() == whole.ranks()
    assert (third.folder / name).read_bytes() == (whole.folder / name).read_bytes()

    # Killed at step 13 without its own checkpoint: attempt 3 repeats what attempt 2 did after step 6.
    for path in (tmp_path / "cut" / "attempt-2" / "checkpoints").glob("step-*"):
        (path / "manifest.json").unlink()
    for path in (tmp_path / "cut" / "attempt-3" / "checkpoints").glob("step-*"):
        (path / "manifest.json").unlink()
    again = SteeredLife(data_dir, steered(config, [*first.events, *second.events]), tmp_path / "cut", {}, attempt=4)
    assert again.ready == [6]
    assert [(event.step, event.action, event.request) for event in again.of("steer")] == [
        (7, "target", None),
        (12, "release", None),
    ]
    assert first.metrics() | again.metrics() == whole.metrics()
    assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()

    # A new run with this configuration, as it would be launched from its YAML.
    config_text = steered(config, whole.events).model_dump_json()
    copy = Life(data_dir, RunConfig.model_validate(json.loads(config_text)), tmp_path / "copy")
    assert copy.metrics() == whole.metrics()
    assert (copy.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_frozen_mask_is_final_immediately_and_the_tensors_are_compacted(
    data_dir: Path, plan: Plan, tmp_path: Path
) -> None:
    one = SteeredLife(data_dir, plan().config, tmp_path, {5: [SteerRequest("f", "freeze")]})
    ranks = one.ranks()
    assert ranks[5].final
    assert ranks[5].mask == ranks[4].mask == ranks[20].mask
    assert [(event.step, event.final, event.pruned) for event in one.of("prune")][-1] == (5, True, [])
    assert one.of("artifact")[0].kept_parameters < one.of("modules")[0].trained_parameters
    pattern = json.loads((one.folder / "adapter" / "rank_pattern.json").read_text())
    assert sum(pattern.values()) == ranks[5].live


def test_a_method_without_ranks_refuses_to_be_steered(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    one = SteeredLife(data_dir, plan("lora", max_steps=3).config, tmp_path, {2: [SteerRequest("h", "hold")]})
    (event,) = one.of("steer")
    assert isinstance(event, SteerEvent)
    assert event.refused == "This method has no ranks to steer."
