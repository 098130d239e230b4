"""The estimated memory is that of the run: bytes of weights exactly, and what autograd keeps within 15 %."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput
from rankscope.launch.activations import activation_bytes
from rankscope.launch.memory import estimate_memory, step_of
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.launch.savings import with_changes
from rankscope.settings import Settings
from tests.tiny import make_reviews, make_tiny_bart, make_tiny_bert
from tests.wide import wide

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
ROWS, TOKENS = 2, 48
METHODS: dict[str, dict[str, Any]] = {
    "dynamic_rank": {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2},
    "lora": {"name": "lora", "rank": 3},
    "lora without dropout": {"name": "lora", "rank": 3, "lora_dropout": 0.0},
    "full": {"name": "full"},
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(data_dir=tmp_path_factory.mktemp("memory"))
    make_reviews(settings.datasets_dir / "reviews.csv", rows=40)
    make_tiny_bert(settings.models_dir / "bert", hidden=64)
    make_tiny_bart(settings.models_dir / "bart")
    make_tiny_llama(settings.models_dir / "llama")
    return settings


def make_tiny_llama(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    make_tiny_bert(folder)
    words = len((folder / "vocab.txt").read_text().splitlines()) if (folder / "vocab.txt").is_file() else 25
    config = LlamaConfig(
        vocab_size=words,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=160,
        max_position_embeddings=64,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(described | {"pad_token_id": 0}))


@pytest.fixture
def loaded(settings: Settings) -> Callable[..., tuple[RunPlan, Any, Any]]:
    """Plans a run, and loads and wraps its model as a worker does."""

    def load(model: str, method: dict[str, Any], quantization: str = "none") -> tuple[RunPlan, Any, Any]:
        from dynamic_rank import create_method
        from rankscope_worker.child.loading.model import load_model, load_tokenizer
        from rankscope_worker.child.loading.quantisation import quantisation_of
        from rankscope_worker.child.tasks import trained_task
        from rankscope_worker.child.training import method_options

        config = {
            "model": {"id": f"local:{model}", "quantization": quantization},
            "data": {"id": "local:reviews"},
            "method": method,
            "training": {"max_steps": 20, "max_length": TOKENS, "batch_size": ROWS},
        }
        plan = make_plan(RunConfig.model_validate(config), Catalog(settings))
        folder = settings.models_dir / model
        task = trained_task(plan.config.task, plan.split.labels)
        bits = quantisation_of(plan.config)
        base = load_model(folder, model, task.head(), load_tokenizer(folder), bits).model
        wrapped = create_method(plan.config.method.name, method_options(plan.config))
        return plan, wrapped.prepare(base, task.peft_type), wrapped

    return load


@pytest.mark.parametrize("model", ["bert", "bart", "llama"])
def test_bytes_of_all_parameters_are_exact(loaded: Callable[..., tuple[RunPlan, Any, Any]], model: str) -> None:
    for method in ("lora", "full"):
        plan, wrapped, _ = loaded(model, METHODS[method])
        estimate = estimate_memory(plan, "cpu")
        assert estimate is not None
        parts = estimate.parts
        assert parts.weights + parts.adapter == sum(each.numel() * each.element_size() for each in wrapped.parameters())
        trained = [each.numel() for each in wrapped.parameters() if each.requires_grad]
        assert (parts.gradients, parts.optimizer) == (4 * sum(trained), 8 * sum(trained))


@pytest.mark.filterwarnings("ignore:.*CPU capability.*:UserWarning")
@pytest.mark.parametrize(
    ("model", "bits"), [("bert", "4-bit"), ("llama", "8-bit"), *wide(("bert", "8-bit"), ("llama", "4-bit"))]
)
def test_bytes_of_weights_that_are_quantised_while_loaded(
    loaded: Callable[..., tuple[RunPlan, Any, Any]], model: str, bits: str
) -> None:
    plan, wrapped, _ = loaded(model, METHODS["lora"], bits)
    estimate = estimate_memory(plan, "gpu")
    whole = estimate_memory(plan, "gpu", with_changes(plan.config, {"model.quantization": "none"}))
    assert estimate is not None
    assert whole is not None
    assert estimate.parts.weights < whole.parts.weights / 1.5
    held = 0
    for each in wrapped.parameters():
        held += each.numel() * each.element_size()
        state = getattr(each, "quant_state", None)
        if state is not None:
            held += state.absmax.numel() * state.absmax.element_size() + 4 * state.state2.absmax.numel()
    assert estimate.parts.weights + estimate.parts.adapter == pytest.approx(held, rel=0.01)


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("bert", "dynamic_rank"),
        ("llama", "lora"),
        ("bart", "full"),
        *wide(("bert", "lora"), ("bert", "lora without dropout"), ("bert", "full"), ("llama", "dynamic_rank")),
        *wide(("llama", "full"), ("bart", "dynamic_rank"), ("bart", "lora")),
    ],
)
def test_what_autograd_keeps_is_estimated(
    loaded: Callable[..., tuple[RunPlan, Any, Any]], model: str, method: str
) -> None:
    import torch

    plan, wrapped, library = loaded(model, METHODS[method])
    tokens = torch.randint(5, 20, (ROWS, TOKENS), generator=torch.Generator().manual_seed(0))
    tokens[:, -1] = wrapped.config.eos_token_id or 3
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": torch.tensor([0, 1])}
    library.initialize([batch])
    wrapped.train()
    own = {each.untyped_storage().data_ptr() for each in [*wrapped.parameters(), *wrapped.buffers()]}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = tensor  # alive, so that no other tensor gets its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = wrapped(**batch).loss
    assert loss.requires_grad
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    sizes = plan.model.memory_sizes
    assert sizes is not None
    step = step_of(plan, plan.config, "cpu")
    estimated = activation_bytes(plan.model.modules, plan.modules, sizes, plan.config.method, step)
    assert estimated == pytest.approx(measured, rel=0.15)


def test_gradient_checkpointing_keeps_one_block_on_a_gpu(settings: Settings) -> None:
    plan = make_plan(_checkpointed("bert"), Catalog(settings))
    sizes = plan.model.memory_sizes
    assert sizes is not None

    def kept(*, is_on: bool) -> int:
        step = replace(step_of(plan, plan.config, "gpu"), has_checkpointing=is_on)
        return activation_bytes(plan.model.modules, plan.modules, sizes, plan.config.method, step)

    inputs = 2 * 4 * ROWS * TOKENS * 64
    assert kept(is_on=True) == pytest.approx(kept(is_on=False) / 2 + inputs, abs=8)


def test_gradient_checkpointing_is_refused_for_kinds_without_it(settings: Settings) -> None:
    from transformers import MPNetConfig, MPNetForSequenceClassification

    folder = make_tiny_bert(settings.models_dir / "mpnet")
    words = json.loads((folder / "config.json").read_text())["vocab_size"]
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    config = MPNetConfig(vocab_size=words, pad_token_id=0, bos_token_id=2, eos_token_id=3, **sizes)
    MPNetForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(BadInput) as refused:
        make_plan(_checkpointed("mpnet"), Catalog(settings))
    assert [problem.field for problem in refused.value.problems] == ["config.hardware.gradient_checkpointing"]


def _checkpointed(model: str) -> RunConfig:
    return RunConfig.model_validate(
        {
            "model": {"id": f"local:{model}"},
            "data": {"id": "local:reviews"},
            "method": METHODS["dynamic_rank"],
            "training": {"max_steps": 20, "max_length": TOKENS, "batch_size": ROWS},
            "hardware": {"gradient_checkpointing": True},
        }
    )
