"""What determines the memory of a training besides the linear layers: the options of config.json that change activations."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rankscope.catalog.models.architectures import Architecture
from rankscope.catalog.models.layers import LinearModule
from rankscope.catalog.models.weights import ModelWeights

# transformers computes the attention of these kinds step by step, so that the probabilities are kept for the backward pass.
_WITHOUT_SDPA = frozenset(
    {
        *("big_bird", "bigbird_pegasus", "bloom", "canine", "convbert", "deberta", "deberta-v2", "flaubert", "fnet"),
        *("funnel", "gemma2", "gpt_neo", "gpt_oss", "gptj", "ibert", "layoutlmv2", "layoutlmv3", "lilt", "longformer"),
        *(
            "luke",
            "markuplm",
            "megatron-bert",
            "mpnet",
            "mpt",
            "mra",
            "mvp",
            "nystromformer",
            "openai-gpt",
            "perceiver",
        ),
        *("reformer", "rembert", "roformer", "squeezebert", "t5gemma", "tapas", "xlm", "xlnet", "yoso"),
    }
)
_WITHOUT_CHECKPOINTS = frozenset(
    {
        *("albert", "ctrl", "flaubert", "funnel", "ibert", "jetmoe", "layoutlmv2", "layoutlmv3", "markuplm", "mpnet"),
        *("openai-gpt", "perceiver", "reformer", "squeezebert", "xlm", "xlnet"),
    }
)
"""Kinds for which transformers has no gradient checkpointing."""
# Computed by one kernel, which keeps only its input. The others keep a tensor for each operation of their formula.
_FUSED_ACTIVATIONS = frozenset(
    {"gelu", "gelu_pytorch_tanh", "relu", "relu6", "silu", "swish", "tanh", "sigmoid", "mish"}
)
_ACTIVATIONS = (
    "hidden_act",
    "activation_function",
    "hidden_activation",
    "activation",
    "dense_act_fn",
    "feed_forward_proj",
)
_ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "attn_dropout")
_HIDDEN_DROPOUT = ("hidden_dropout_prob", "dropout", "resid_pdrop", "hidden_dropout", "resid_dropout")
_USUAL_DROPOUT = frozenset(
    {"attention_probs_dropout_prob", "attn_pdrop", "hidden_dropout_prob", "resid_pdrop", "dropout"}
)
"""Options that are 0.1 if config.json does not have them. The others are 0."""
_BOTH_DROPOUTS = "dropout_rate"
"""T5's only option, for attention and hidden states."""
_HEADS = ("num_attention_heads", "encoder_attention_heads", "num_heads", "n_head", "n_heads")
_FOUR_BIT_BYTES = 0.5 + 4 / 64
"""bitsandbytes stores a float32 scale for 64 numbers."""
_DOUBLY_QUANTISED_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""With double quantisation, the scale takes a byte, and 256 of them share a float32."""


@dataclass(frozen=True)
class ModelSizes:
    hidden: int
    heads: int
    vocabulary: int
    has_attention_dropout: bool = False
    has_hidden_dropout: bool = False
    has_fused_activation: bool = True
    has_sdpa: bool = True
    """Whether transformers can compute its attention by one kernel, which keeps no probabilities."""
    can_checkpoint: bool = True
    quantised_elements: int = 0
    """Numbers of the weights in 4 or 8 bits."""
    quantised_bytes: int = 0
    """Their memory, with scales."""

    def weight_bytes(self, parameters: int) -> int:
        """Memory of the weights once they are loaded: what is not quantised becomes float32, whatever the files contain."""
        return 4 * (parameters - self.quantised_elements) + self.quantised_bytes


def quantised_at_load(
    sizes: ModelSizes, modules: Iterable[LinearModule], bits: Literal["8-bit", "4-bit"]
) -> ModelSizes:
    """The sizes once these layers are loaded in 8 or 4 bits."""
    elements = sum(module.in_features * module.out_features for module in modules)
    each = _DOUBLY_QUANTISED_BYTES if bits == "4-bit" else 1
    return replace(sizes, quantised_elements=elements, quantised_bytes=math.ceil(elements * each))


def model_sizes(
    config: Mapping[str, object], kind: Architecture, content: ModelWeights, modules: tuple[LinearModule, ...]
) -> ModelSizes:
    activation = str(_first(config, _ACTIVATIONS) or "gelu").removeprefix("gated-")
    # "gated-gelu" of T5 is computed as gelu_new.
    is_fused = activation in _FUSED_ACTIVATIONS and str(config.get("feed_forward_proj")) != "gated-gelu"
    elements = sum(math.prod(content.shapes[name]) for name in content.packed if name in content.shapes)
    is_four_bit = _is_four_bit(config)
    return ModelSizes(
        hidden=kind.size("hidden_size", config) or _usual_width(modules),
        heads=next((size for name in _HEADS if (size := kind.size(name, config))), 1),
        vocabulary=kind.size("vocab_size", config) or 0,
        has_attention_dropout=_has_dropout(config, kind, _ATTENTION_DROPOUT),
        has_hidden_dropout=_has_dropout(config, kind, _HIDDEN_DROPOUT),
        has_fused_activation=is_fused,
        has_sdpa=kind.kind not in _WITHOUT_SDPA,
        can_checkpoint=kind.kind not in _WITHOUT_CHECKPOINTS,
        quantised_elements=elements,
        quantised_bytes=math.ceil(elements * (_FOUR_BIT_BYTES if is_four_bit else 1)),
    )


def _first(config: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((config[name] for name in names if config.get(name) is not None), None)


def _has_dropout(config: Mapping[str, object], kind: Architecture, names: tuple[str, ...]) -> bool:
    for name in (*names, _BOTH_DROPOUTS):
        value = config.get(name)
        if isinstance(value, int | float):
            return value > 0
    return any(kind.has(name) and name in _USUAL_DROPOUT for name in names) or kind.has(_BOTH_DROPOUTS)


def _usual_width(modules: tuple[LinearModule, ...]) -> int:
    widths = [module.in_features for module in modules]
    return max(set(widths), key=widths.count) if widths else 0


def _is_four_bit(config: Mapping[str, object]) -> bool:
    settings = config.get("quantization_config")
    return isinstance(settings, Mapping) and bool(settings.get("load_in_4bit"))
