"""The trainer alone: no Redis, no database, no process."""

import base64
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerControl, TrainerState

from dynamic_rank import create_method
from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import Split, split
from rankscope.catalog.imported.encoded import TokenSpace
from rankscope.contract.config import RunConfig
from rankscope.contract.evaluation.results import RESULTS_FILE
from rankscope.contract.events import RanksEvent, RunEvent
from rankscope.contract.metrics import TOKENS_SEEN, is_machine_metric
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope_worker.child.callbacks import Reporter
from rankscope_worker.child.checkpoint import find_newest
from rankscope_worker.child.training import Outcome, PermanentError, method_options, run_training
from rankscope_worker.steer_requests import SteerRequest
from tests.wide import wide

Plan = Callable[..., RunPlan]


class Life:
    """One attempt, as in a separate process: its events, and how it ended."""

    def __init__(
        self,
        data_dir: Path,
        config: RunConfig,
        run: Path,
        attempt: int = 1,
        stop_at: int | None = None,
        token_space: TokenSpace | None = None,
    ):
        catalog = Catalog(Settings(data_dir=data_dir))
        self.folder = run / f"attempt-{attempt}"
        self.folder.mkdir(parents=True)
        self.events: list[RunEvent] = []
        self.ready: list[int] = []
        self.stop_at = stop_at
        self.split: Split = split(catalog.dataset(config.data.id), config.data, config.task)
        self.model_folder = catalog.model(config.model.id).folder
        self.outcome: Outcome = run_training(
            config,
            self.model_folder,
            self.split,
            self.folder,
            self.events.append,
            self.should_stop,
            find_newest(run, lambda _checkpoint, _why: None),
            self.ready.append,
            lambda: None,
            self.steer_requests,
            token_space=token_space,
        )

    def steer_requests(self) -> Iterable[SteerRequest]:
        return ()

    def should_stop(self) -> bool:
        # Trainer calls this after it has recorded the step's metrics except the loss.
        ranks = [event.step for event in self.events if event.kind == "ranks"]
        return self.stop_at is not None and bool(ranks) and ranks[-1] >= self.stop_at

    def metrics(self) -> dict[tuple[str, int], float]:
        return {
            (name, event.step): value
            for event in self.events
            if event.kind == "metrics"
            for name, value in event.values.items()
            if not is_machine_metric(name)
        }

    def ranks(self) -> dict[int, RanksEvent]:
        return {event.step: event for event in self.events if event.kind == "ranks"}

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.kind == kind]


@pytest.fixture(scope="module")
def whole(data_dir: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Life:
    return Life(data_dir, plan().config, tmp_path_factory.mktemp("whole"))


# The step from which the ranks are final, so that an evaluation is of the model that is kept.
SETTLED = {
    "dynamic_rank": 10,
    "lora": 0,
    "adalora": 10,
    "eva": 0,
    "lora_shrink": 20,
    "sora": 20,
    "control": 0,
    "gradient": 0,
    "spectrum": 0,
    "full": 0,
}


@pytest.mark.parametrize("method", SETTLED)
def test_each_method_runs_to_done(data_dir: Path, plan: Plan, tmp_path: Path, method: str) -> None:
    artifact = "model" if method == "full" else "adapter"
    made = plan(method)
    life = Life(data_dir, made.config, tmp_path)
    assert life.outcome == Outcome("done", 20, is_saved=True)
    assert life.ready == [0]
    assert {name for name, _ in life.metrics()} >= {"train_loss", "learning_rate", "grad_norm", "eval_loss"}
    assert [step for name, step in life.metrics() if name == "train_loss"] == list(range(1, 21))
    assert [step for name, step in life.metrics() if name == "eval_mcc"] == [5, 10, 15, 20]
    assert [event.step for event in life.of("checkpoint")] == [5, 10, 15, 20]
    assert kept_steps(life) == {15, 20, best_step(life, SETTLED[method])}
    (modules,) = life.of("modules")
    assert len(modules.modules) == made.n_modules
    if method != "eva":  # which distributes the same number of components over modules of other sizes
        assert modules.trained_parameters == made.trained_parameters
    (result,) = life.of("artifact")
    assert result.name == artifact
    assert (life.folder / artifact / "tokenizer.json").is_file()
    finals = [event.step for event in life.of("prune") if event.final]
    assert finals == ([SETTLED[method]] if SETTLED[method] else [])
    if not finals:
        assert result.kept_parameters == life.of("modules")[0].trained_parameters - _head(life, method)
    assert life.of("warning") == []


def test_the_tokens_of_every_batch_are_counted(whole: Life) -> None:
    tokenizer = AutoTokenizer.from_pretrained(whole.model_folder)
    (length,) = {len(tokenizer(row["text"])["input_ids"]) for row in whole.split.train}
    counted = {step: value for (name, step), value in whole.metrics().items() if name == TOKENS_SEEN}
    assert counted == {step: step * 8 * length for step in range(1, 21)}


def kept_steps(life: Life) -> set[int]:
    return {int(path.name.removeprefix("step-")) for path in (life.folder / "checkpoints").glob("step-*")}


def best_step(life: Life, settled: int, metric: str = "eval_accuracy") -> int:
    """The first of the highest evaluations from step `settled` on."""
    points = [(step, value) for (name, step), value in life.metrics().items() if name == metric and step >= settled]
    return max(points, key=lambda point: (point[1], -point[0]))[0]


def _head(life: Life, method: str) -> int:
    return 0 if method == "full" else 32 * 2 + 2


def test_live_components_equal_the_budget_at_every_pruning_step(whole: Life, plan: Plan) -> None:
    schedule = plan().config.method.budget_schedule(plan().n_modules, 20)
    assert schedule is not None
    pruned = [event for event in whole.of("ranks") if event.pruning]
    assert [event.step for event in pruned] == schedule.pruning_steps()
    for event in pruned:
        bits = np.unpackbits(np.frombuffer(base64.b64decode(event.mask), dtype=np.uint8), bitorder="little")
        assert int(bits.sum()) == event.live == event.budget == schedule.budget(event.step)
    assert [event.step for event in whole.of("prune")] == [event.step for event in pruned]
    assert [event.final for event in pruned] == [False] * (len(pruned) - 1) + [True]


def test_scores_of_removed_components_are_zero(whole: Life) -> None:
    last = whole.of("ranks")[-1]
    scores = np.frombuffer(base64.b64decode(last.scores), dtype="<f2").reshape(last.modules, last.width)
    bits = np.unpackbits(np.frombuffer(base64.b64decode(last.mask), dtype=np.uint8), bitorder="little")
    mask = bits[: scores.size].reshape(scores.shape).astype(bool)
    assert last.final
    assert (scores[~mask] == 0).all()
    assert (scores[mask] > 0).all()


def test_raw_scores_are_recorded_when_asked_for_and_smooth_to_the_scores(
    whole: Life, data_dir: Path, plan: Plan, tmp_path: Path
) -> None:
    assert all(event.raw_scores is None for event in whole.of("ranks"))
    made = plan("dynamic_rank", raw_scores=True)
    life = Life(data_dir, made.config, tmp_path)

    def unpacked(packed: str) -> Any:
        return np.frombuffer(base64.b64decode(packed), dtype="<f2").astype(np.float32)

    assert made.config.method.name == "dynamic_rank"
    beta, smoothed = made.config.method.beta, np.float32(0)
    for event in life.of("ranks"):
        if not 0 < event.step <= SETTLED["dynamic_rank"]:
            assert event.raw_scores is None  # no step was scored
            continue
        smoothed = beta * smoothed + (1 - beta) * unpacked(event.raw_scores)
        if not event.final:  # which doesn't show components that were pruned for good
            np.testing.assert_allclose(unpacked(event.scores), smoothed, rtol=5e-3, atol=1e-4)
    assert life.metrics() == whole.metrics()
    plain = {step: event.model_copy(update={"raw_scores": None}) for step, event in life.ranks().items()}
    assert plain == whole.ranks()


@pytest.mark.parametrize(
    ("method", "options", "rises"),
    [("dynamic_rank", {}, 2), ("dynamic_rank", {"init": "small_random"}, 3), ("lora", {}, 3)],
)
def test_the_warm_up_is_rounded_as_in_the_authors_code_with_their_initialisation(
    data_dir: Path, plan: Plan, tmp_path: Path, method: str, options: dict[str, Any], rises: int
) -> None:
    life = Life(data_dir, plan(method, options, lr_warmup_ratio=0.12).config, tmp_path)  # 0.12 * 20 = 2.4 steps
    rates = [value for (name, _), value in life.metrics().items() if name == "learning_rate"]
    done = range(20)  # optimizer steps before each
    expected = [1e-2 * step / rises if step < rises else 1e-2 * (20 - step) / (20 - rises) for step in done]
    assert rates == pytest.approx(expected)


# Window 3 to 10, pruning at 3, 5, 7, 9, 10; evaluation and checkpoint at 5.
@pytest.mark.parametrize("stop_at", [5, 10, 13, *wide(1, 7)])
def test_a_stopped_and_resumed_run_is_the_uninterrupted_one(
    whole: Life, data_dir: Path, plan: Plan, tmp_path: Path, stop_at: int
) -> None:
    config = plan().config
    first = Life(data_dir, config, tmp_path, 1, stop_at=stop_at)
    assert first.outcome == Outcome("stopped", stop_at, is_saved=True)
    assert first.of("artifact") == []
    second = Life(data_dir, config, tmp_path, 2)
    assert second.ready == [stop_at]
    assert second.outcome.kind == "done"
    assert first.metrics() | second.metrics() == whole.metrics()
    assert first.ranks() | second.ranks() == whole.ranks()
    assert first.of("prune") + second.of("prune") == whole.of("prune")
    name = "adapter/adapter_model.safetensors"
    assert (second.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert not (first.folder / "adapter").exists()


@pytest.mark.parametrize("method", ["lora", "full", "eva", "sora"])
def test_the_baselines_resume_exactly_too(data_dir: Path, plan: Plan, tmp_path: Path, method: str) -> None:
    config = plan(method, max_steps=8).config
    whole = Life(data_dir, config, tmp_path / "whole")
    # Full fine-tuning has no rank events to stop at: resume from the checkpoint of step 5 as after a kill.
    cut = Life(data_dir, config, tmp_path / "cut", stop_at=6)
    for path in [cut.folder / "checkpoints" / "step-8", cut.folder / "checkpoints" / "step-6"]:
        if path.exists():
            (path / "manifest.json").unlink()
    second = Life(data_dir, config, tmp_path / "cut", 2)
    assert second.ready == [5]
    early = {key: value for key, value in cut.metrics().items() if key[1] <= 5}
    assert early | second.metrics() == whole.metrics()
    name = "model/model.safetensors" if method == "full" else "adapter/adapter_model.safetensors"
    assert (second.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_run_that_was_killed_after_its_last_checkpoint_only_writes_its_results(
    whole: Life, data_dir: Path, plan: Plan, tmp_path: Path
) -> None:
    Life(data_dir, plan().config, tmp_path, 1)
    second = Life(data_dir, plan().config, tmp_path, 2)
    assert second.outcome == Outcome("done", 20, is_saved=True)
    assert second.metrics() == {}
    name = "adapter/adapter_model.safetensors"
    assert (second.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert second.of("artifact")[0].kept_parameters == whole.of("artifact")[0].kept_parameters
    assert [event.phase for event in second.of("phase")] == ["loading", "tokenizing", "evaluating", "exporting"]
    assert (second.folder / RESULTS_FILE).read_text() == (whole.folder / RESULTS_FILE).read_text()


def test_the_adapter_gives_the_trained_models_logits(whole: Life, plan: Plan) -> None:
    config = plan().config

    def base() -> Any:
        return AutoModelForSequenceClassification.from_pretrained(whole.model_folder, num_labels=2)

    method = create_method("dynamic_rank", method_options(config))
    trained = method.prepare(base(), "SEQ_CLS").eval()
    method.load_state(whole.folder / "checkpoints" / "step-20")
    loaded = PeftModel.from_pretrained(base(), whole.folder / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(whole.folder / "adapter")
    inputs = tokenizer([row["text"] for row in whole.split.evaluation], padding=True, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, trained(**inputs).logits, rtol=1e-5, atol=1e-6)
    ranks = json.loads((whole.folder / "adapter" / "rank_pattern.json").read_text())
    assert sum(ranks.values()) == whole.of("ranks")[-1].live
    assert "local:tiny-bert" in (whole.folder / "adapter" / "adapter_config.json").read_text()


def test_a_stop_before_the_first_step_needs_no_checkpoint(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    catalog = Catalog(Settings(data_dir=data_dir))
    config = plan().config
    rows = split(catalog.dataset(config.data.id), config.data, config.task)
    outcome = run_training(
        config, catalog.model(config.model.id).folder, rows, tmp_path, lambda _event: None, lambda: True
    )
    assert outcome == Outcome("stopped", 0, is_saved=False)


def test_missing_weights_are_reported(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    catalog = Catalog(Settings(data_dir=data_dir))
    source = catalog.model("local:tiny-bert").folder
    folder = tmp_path / "without-pooler"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = {name: tensor for name, tensor in load_file(source / "model.safetensors").items() if "pooler" not in name}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = plan("lora", max_steps=1).config
    rows = split(catalog.dataset(config.data.id), config.data, config.task)
    events: list[RunEvent] = []
    run_training(config, folder, rows, tmp_path / "attempt-1", events.append, lambda: False)
    (warning,) = [event for event in events if event.kind == "warning"]
    assert warning.code == "missing_weights"
    assert "bert.pooler.dense.bias" in warning.message


def test_a_gpu_run_without_a_gpu_is_refused(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this host has a GPU")
    config = plan("lora").config
    config = config.model_copy(update={"hardware": config.hardware.model_copy(update={"device": "gpu"})})
    with pytest.raises(PermanentError, match=r"hardware\.device is gpu, and this worker sees no GPU"):
        Life(data_dir, config, tmp_path)


def test_losses_that_are_nan_warn_once_keep_old_checkpoints_and_end_the_run() -> None:
    events: list[Any] = []
    reporter = Reporter(events.append, lambda: False, eval_every=5, checkpoint_every=1, window=None)
    state = TrainerState(max_steps=10)
    ended = []
    for step, loss in enumerate([0.5, math.nan, math.inf, math.nan], start=1):
        control = TrainerControl()
        state.global_step = step
        reporter.on_step_end(None, state, control)  # type: ignore[arg-type]
        reporter.on_log(None, state, control, {"loss": loss, "learning_rate": 0.1})  # type: ignore[arg-type]
        assert control.should_save == math.isfinite(loss)
        ended.append(control.should_training_stop)
    assert ended == [False, False, False, True]
    assert reporter.diverged_at == 2
    assert [event.code for event in events if event.kind == "warning"] == ["nan_loss"]
    assert [str(event.values["train_loss"]) for event in events if event.kind == "metrics"] == [
        "0.5",
        "nan",
        "inf",
        "nan",
    ]


def test_a_stop_while_eva_assigns_ranks_ends_the_attempt(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(len(asked))
        return len(asked) > 4  # twice before it begins

    catalog = Catalog(Settings(data_dir=data_dir))
    config = plan("eva").config
    rows = split(catalog.dataset(config.data.id), config.data, config.task)
    events: list[RunEvent] = []
    outcome = run_training(config, catalog.model(config.model.id).folder, rows, tmp_path, events.append, should_stop)
    assert outcome == Outcome("stopped", 0, is_saved=False)
    assert [event for event in events if event.kind in ("modules", "metrics")] == []


def test_the_newest_checkpoint_is_kept_if_there_is_no_best(data_dir: Path, plan: Plan, tmp_path: Path) -> None:
    made = plan("lora", max_steps=4, checkpoint_every=2)
    # As it could be launched in an earlier version.
    training = made.config.training.model_copy(update={"best_metric": "eval_auc", "after_done": "best"})
    life = Life(data_dir, made.config.model_copy(update={"training": training}), tmp_path)
    assert life.outcome.kind == "done"
    assert kept_steps(life) == {4}
    (warning,) = life.of("warning")
    assert warning.code == "no_best_checkpoint"
    assert "no evaluation of the final ranks gave a finite eval_auc" in warning.message


def test_every_metric_that_may_name_the_best_is_computed(whole: Life) -> None:
    assert {name for name, _ in whole.metrics() if name.startswith("eval_")} == set(DEFAULT_TASK.best_by())
