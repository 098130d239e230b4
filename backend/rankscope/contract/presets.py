"""Presets: complete configurations with good first values."""

from typing import Any

from rankscope.contract.config import RunConfig
from rankscope.contract.downloads import DataDownloadPayload
from rankscope.contract.paper_presets import CONVERTED, glue_presets, squad_presets, summary_presets
from rankscope.contract.preset import Preset

# Split seed 1: 1,423 evaluation rows, 0.585 of them fresh, close to the share in all rows (seed 0: 0.630).
_DATA: dict[str, object] = {"id": "rotten-tomatoes", "split_seed": 1}
_TRAINING: dict[str, object] = {
    "max_steps": 200,
    "batch_size": 32,
    "max_length": 48,
    "eval_every": 40,
    "checkpoint_every": 25,
    "seed": 0,
    "learning_rate": 1e-2,
}
_CONLL_TAGS = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
_DEMO: dict[str, object] = {"model": {"id": "minilm"}, "data": _DATA, "training": _TRAINING}


def presets() -> list[Preset]:
    """Returns the presets in the order of the form. Those without a group need only the demo's model and data."""
    return [
        Preset(
            "demo",
            "Quick demo",
            "Film reviews with a small BERT: 36 modules share a mean rank of 4. A few minutes on two CPU cores.",
            RunConfig.model_validate(
                _DEMO | {"method": {"name": "dynamic_rank", "target_rank": 4, "prune_interval": 10}}
            ),
        ),
        Preset(
            "dynamic-rank-like-lora",
            "Dynamic rank with LoRA's initialisation",
            "B is zero and c is one at the start, so it learns at LoRA's learning rate in short runs.",
            RunConfig.model_validate(
                _DEMO
                | {
                    "method": {
                        "name": "dynamic_rank",
                        "target_rank": 4,
                        "prune_interval": 10,
                        "init": "zero_b",
                        "score": "norm",
                    },
                    "training": _TRAINING | {"learning_rate": 3e-3},
                }
            ),
        ),
        Preset(
            "paper",
            "Paper's defaults",
            "Target rank 8, pruning every 100 steps between 15 % and 50 % of three epochs, learning rate 1e-4.",
            RunConfig.model_validate(
                {
                    "model": {"id": "minilm"},
                    "data": _DATA,
                    "method": {"name": "dynamic_rank"},
                    "training": {
                        "epochs": 3,
                        "batch_size": 16,
                        "learning_rate": 1e-4,
                        "eval_every": 200,
                        "checkpoint_every": 200,
                    },
                }
            ),
        ),
        Preset(
            "lora",
            "LoRA at the demo's budget",
            "The control: every module has rank 4. Everything else is as in the demo, with LoRA's learning rate.",
            RunConfig.model_validate(
                _DEMO | {"method": {"name": "lora", "rank": 4}, "training": _TRAINING | {"learning_rate": 3e-3}}
            ),
        ),
        Preset(
            "adalora",
            "AdaLoRA at the demo's budget",
            "The best-known alternative: sensitivity scores, and a budget that falls fast at first.",
            RunConfig.model_validate(_DEMO | {"method": {"name": "adalora", "target_rank": 4, "prune_interval": 10}}),
        ),
        Preset(
            "eva",
            "EVA at the demo's budget",
            "Ranks are assigned once, before training, from activations. Does reallocating them during training help?",
            RunConfig.model_validate(
                _DEMO | {"method": {"name": "eva", "rank": 4}, "training": _TRAINING | {"learning_rate": 3e-3}}
            ),
        ),
        Preset(
            "lora-shrink",
            "LoRA 16, shrunk to 4",
            "Trains at rank 16, then keeps the largest singular values of all modules to meet the budget.",
            RunConfig.model_validate(
                _DEMO
                | {
                    "method": {"name": "lora_shrink", "target_rank": 4, "allocation": "global"},
                    "training": _TRAINING | {"learning_rate": 3e-3},
                }
            ),
        ),
        Preset(
            "sora",
            "SoRA",
            "Each of 6 components has a gate that training can close. There is no budget.",
            RunConfig.model_validate(
                _DEMO
                | {
                    "method": {"name": "sora", "rank": 6, "sparse_lambda": 2.0},
                    "training": _TRAINING | {"learning_rate": 3e-3},
                }
            ),
        ),
        Preset(
            "full",
            "Full fine-tuning",
            "All weights are trained: an upper bound for comparison.",
            RunConfig.model_validate(
                _DEMO | {"method": {"name": "full"}, "training": _TRAINING | {"learning_rate": 5e-5}}
            ),
        ),
        *glue_presets(),
        *_other_tasks(),
        *squad_presets(),
        *summary_presets(),
        Preset(
            "chat",
            "Chat with SmolLM2",
            "A chat model of 135 M parameters says in one word whether a film review is fresh or rotten. Needs models/smollm2 in "
            "the data folder: run make chat-model once.",
            RunConfig.model_validate(
                {
                    "model": {"id": "local:smollm2"},
                    "data": _DATA | {"max_eval_rows": 200},
                    "task": {
                        "name": "causal_language_model",
                        "system_prompt": "Answer with one word, fresh or rotten.",
                        "generated_rows": 50,
                        "max_new_tokens": 4,
                    },
                    "method": {
                        "name": "dynamic_rank",
                        "target_rank": 4,
                        "prune_interval": 5,
                        "init": "zero_b",
                        "score": "sensitivity",
                    },
                    "training": {
                        "max_steps": 60,
                        "batch_size": 4,
                        "max_length": 128,
                        "eval_every": 30,
                        "checkpoint_every": 30,
                        "learning_rate": 2e-3,
                    },
                }
            ),
            group="Chat",
        ),
    ]


def _other_tasks() -> list[Preset]:
    """Returns presets for a data set of the hub, with the demo's model."""
    return [
        _of_the_hub(
            "conll2003",
            "Named entities (CoNLL-2003)",
            {"name": "token_classification", "tag_names": _CONLL_TAGS},
            DataDownloadPayload(hub_id="eriktks/conll2003", revision=CONVERTED),
        ),
        _of_the_hub(
            "go-emotions",
            "Several labels (GoEmotions)",
            {"name": "multi_label"},
            DataDownloadPayload(hub_id="google-research-datasets/go_emotions", subset="simplified"),
        ),
    ]


def _of_the_hub(data: str, title: str, task: dict[str, Any], source: DataDownloadPayload) -> Preset:
    return Preset(
        data,
        title,
        "Three epochs of LoRA on MiniLM.",
        RunConfig.model_validate(
            {
                "model": {"id": "minilm"},
                "data": {"id": f"local:{data}"},
                "task": task,
                "method": {"name": "lora", "rank": 8},
                "training": {
                    "epochs": 3,
                    "batch_size": 32,
                    "learning_rate": 1e-3,
                    "max_length": 64,
                    "eval_every": 200,
                    "checkpoint_every": 200,
                },
            }
        ),
        group="Other tasks",
        hub_data=source,
    )
