"""Every task with each form of model: in bf16, with 8 and 4 bits in its files or made while loading, with checkpointing."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, BitsAndBytesConfig

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from rankscope_worker.child.predictions import predict
from rankscope_worker.child.training import Outcome
from tests.tiny import FILLER, WORDS
from tests.worker.child.tasks.installation import CHAT, DYNAMIC_RANK, install
from tests.worker.child.tasks.test_question_answering import ROWS as QUESTIONS
from tests.worker.child.test_training import Life

# Warnings of bitsandbytes and torch when quantising on a CPU.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*MatMul8bitLt.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*CPU capability.*:UserWarning"),
]
TEXTS = [f"the {FILLER[n % 10]} is {WORDS[kind][n % 5]}" for n in range(40) for kind in WORDS]
ROWS: dict[str, list[dict[str, Any]]] = {
    "text_classification": [{"text": text, "label": ("fresh", "rotten")[n % 2]} for n, text in enumerate(TEXTS)],
    "regression": [{"text": text, "score": n % 2 + n / 80} for n, text in enumerate(TEXTS)],
    "multi_label": [{"text": text, "labels": ["even"] * (n % 2) + ["x"] * (n % 3 > 0)} for n, text in enumerate(TEXTS)],
    "token_classification": [
        {"tokens": text.split(), "ner_tags": ["O", "O", "O", ("B-P", "B-N")[n % 2]]} for n, text in enumerate(TEXTS)
    ],
    "question_answering": QUESTIONS,
    "text_to_text": [{"document": text, "summary": text.split()[-1]} for text in TEXTS],
    "causal_language_model": [{"prompt": text, "answer": text.split()[-1]} for text in TEXTS],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "text_to_text": {"generated_rows": 2, "max_target_length": 4, "beams": 1},
    "causal_language_model": {"generated_rows": 2, "max_new_tokens": 3, "pack": True},
}
ENCODER = ("text_classification", "regression", "multi_label", "token_classification", "question_answering")
MODELS = {
    "bert": ENCODER,
    "bart": ("text_to_text", "text_classification", "question_answering"),
    "t5": ("text_to_text",),
    "llama": ("causal_language_model", "text_classification", "token_classification"),
}
BITS = {
    "8 bit": BitsAndBytesConfig(load_in_8bit=True),
    "4 bit": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32),
}
AT_LOAD = {"8 bit at load": "8-bit", "4 bit at load": "4-bit"}
FORMS = (*BITS, *AT_LOAD, "bf16", "checkpointing")
CASES = [(kind, task) for task in ROWS for kind, tasks in MODELS.items() if task in tasks]
NARROW = {
    ("bart", "text_to_text"): "4 bit",
    ("llama", "causal_language_model"): "8 bit",
    ("bert", "token_classification"): "bf16",
    ("bert", "text_classification"): "4 bit at load",
}


# bitsandbytes computes 4 bits on a CPU only for layers whose sizes are multiples of 64.
_WIDER: dict[str, dict[str, int]] = {
    "bert": {"hidden_size": 64, "intermediate_size": 64},
    "bart": {"d_model": 64, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
    "t5": {"d_model": 64, "d_ff": 64, "d_kv": 32, "num_heads": 2},
    "llama": {"hidden_size": 64, "intermediate_size": 64, "num_key_value_heads": 2, "head_dim": 32},
}
_LOADERS = {"llama": AutoModelForCausalLM, "bart": AutoModelForSeq2SeqLM, "t5": AutoModelForSeq2SeqLM}


def widen(folder: Path, kind: str, bits: BitsAndBytesConfig | None) -> None:
    """Replaces the model by a wider one, with weights in 8 or 4 bits if these are given."""
    loader = _LOADERS.get(kind, AutoModel)
    config = AutoConfig.from_pretrained(folder)
    config.update(_WIDER[kind])
    torch.manual_seed(0)
    loader.from_config(config).save_pretrained(folder)
    if bits is not None:
        loader.from_pretrained(folder, quantization_config=bits).save_pretrained(folder)


@pytest.mark.parametrize(
    ("kind", "name", "form"),
    [
        pytest.param(kind, name, form, marks=() if NARROW.get((kind, name)) == form else pytest.mark.wide)
        for kind, name in CASES
        for form in FORMS
    ],
)
def test_a_run_ends_with_finite_metrics_and_an_adapter_that_answers(
    tmp_path: Path, kind: str, name: str, form: str
) -> None:
    folder = install(tmp_path, kind, ROWS[name], chat_template=CHAT if name == "causal_language_model" else None)
    if form in BITS or form in AT_LOAD:
        widen(folder / "models" / "tiny", kind, BITS.get(form))
    config = {
        "model": {"id": "local:tiny", "quantization": AT_LOAD.get(form, "none")},
        "data": {"id": "local:rows", "eval_fraction": 0.4},
        "task": {"name": name, **OPTIONS.get(name, {})},
        "method": DYNAMIC_RANK,
        "training": {"max_steps": 8, "batch_size": 4, "max_length": 48, "learning_rate": 1e-2, "eval_every": 4},
        "hardware": {
            "precision": "bf16" if form == "bf16" else "float32",
            "gradient_checkpointing": form == "checkpointing",
        },
    }
    plan = make_plan(RunConfig.model_validate(config), Catalog(Settings(_env_file=None, data_dir=folder)))
    life = Life(folder, plan.config, tmp_path / "run")
    assert life.outcome == Outcome("done", 8, is_saved=True)
    metrics = life.metrics()
    assert all(math.isfinite(value) for value in metrics.values())
    assert {metric for metric, step in metrics if step == 8} >= {one.name for one in plan.config.task.metrics}
    assert life.of("modules")[0].trained_parameters == plan.trained_parameters or plan.is_estimate
    (artifact,) = life.of("artifact")
    asked = {field.name: "the film is good" for field in plan.config.task.inputs()}
    labels = plan.environment["labels"]
    items, _ = predict(plan.config, labels, life.model_folder, life.folder / artifact.name, [asked])
    assert items[0].tuned.kind == items[0].base.kind
