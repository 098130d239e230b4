"""Memory of the activations: what a training step keeps from the forward pass for the backward pass.

Counted by the sizes of the linear layers in the model's blocks. Each term below is a tensor that autograd keeps, found by
listing the saved tensors of real models; tests/launch/test_activations.py compares the sum with such a list.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rankscope.catalog import LinearModule
from rankscope.catalog.models.sizes import ModelSizes
from rankscope.contract.methods import Method

DeviceKind = Literal["cpu", "gpu"]
_ATTENTION_MAPS = 3
"""Probabilities, dropout noise and their product, if dropout keeps attention from being computed by one kernel."""


@dataclass(frozen=True)
class Step:
    """One forward and backward pass."""

    rows: int
    tokens: int
    """Length of a row, after padding."""
    target_tokens: int
    """Length of a row for the decoder of an encoder-decoder; otherwise as `tokens`."""
    device: DeviceKind
    is_bf16: bool = False
    has_checkpointing: bool = False
    """Whether only the inputs of blocks are kept, and a block is computed again in the backward pass."""


@dataclass(frozen=True)
class _Block:
    modules: list[LinearModule]
    is_decoder: bool
    inner: int
    """Width between the two layers of the feed-forward part; 0 if it has none."""

    @property
    def up(self) -> list[LinearModule]:
        """The first layers of the feed-forward part: one, or two if it is gated."""
        return [module for module in self.modules if _is_up(module, self.inner)]

    @property
    def attention(self) -> list[LinearModule]:
        rest = [module for module in self.modules if not _is_up(module, self.inner)]
        return [module for module in rest if module.in_features != self.inner]

    @property
    def is_gated(self) -> bool:
        return sum(module.out_features for module in self.up) >= 2 * self.inner > 0


def activation_bytes(
    modules: Sequence[LinearModule], adapted: Sequence[LinearModule], sizes: ModelSizes, method: Method, step: Step
) -> int:
    """Bytes kept by the blocks in one forward pass. `modules`: all linear layers in blocks; `adapted`: those that train."""
    blocks = _blocks(modules)
    names = {module.name for module in adapted}
    width = 2.6 if step.is_bf16 else 4.0  # under autocast, norms and softmax stay in float32
    per_block = []
    inputs = 0.0
    for block in blocks:
        tokens = step.rows * (step.target_tokens if block.is_decoder else step.tokens)
        numbers = _own(block, sizes, step) + _adapters(block, names, method, step)
        maps = _attention_maps(block, sizes, step)
        casts = sum(module.in_features * module.out_features for module in block.modules) * 2 if step.is_bf16 else 0
        per_block.append(width * (numbers * tokens + maps) + casts)
        inputs += width * sizes.hidden * tokens
    if step.has_checkpointing and sizes.can_checkpoint:
        # On a CPU, the heap does not reuse the memory of one block for the next.
        again = min(2 if step.device == "cpu" else 1, len(blocks))
        return int(inputs + again * max(per_block, default=0.0))
    return int(sum(per_block))


def output_bytes(outputs: int, step: Step) -> int:
    """Bytes of a language model's logits, their log-probabilities, and at bf16 the copy in float32."""
    return int(step.rows * step.target_tokens * outputs * (10 if step.is_bf16 else 8))


def evaluation_bytes(modules: Sequence[LinearModule], sizes: ModelSizes, step: Step, outputs: int) -> int:
    """Bytes of an evaluation's forward pass at its widest layer: nothing is kept for a backward pass."""
    tokens = step.rows * max(step.tokens, step.target_tokens)
    widest = max((module.out_features + module.in_features for module in modules), default=0)
    maps = 0 if sizes.has_sdpa else 2 * sizes.heads * step.rows * step.tokens**2
    return 4 * (tokens * (2 * widest + 3 * sizes.hidden) + maps + 2 * step.rows * step.target_tokens * outputs)


def _own(block: _Block, sizes: ModelSizes, step: Step) -> float:
    """Numbers per token that the block keeps without an adapter."""
    sublayers = _attentions(block) + bool(block.inner)
    noise = _noise(step) if sizes.has_hidden_dropout else 0.0
    norms = sublayers * sizes.hidden * (1 + noise)
    attention = sum(module.out_features for module in block.attention)
    if sizes.has_fused_activation:
        feed_forward = (3 if block.is_gated else 1) * block.inner
    else:
        feed_forward = (6 if block.is_gated else 4) * block.inner
    return norms + attention + feed_forward


def _adapters(block: _Block, names: set[str], method: Method, step: Step) -> float:
    """Numbers per token that are kept to compute gradients of adapters, or of the weights if all are trained."""
    is_full = method.artifact == "model"
    own = [module for module in block.modules if is_full or module.name in names]
    if not is_full and getattr(method, "lora_dropout", 0.0) > 0:
        # Dropout gives each layer a separate input, and its noise is kept.
        share = 1.25 if method.trains_scales else 1 + _noise(step)
        return sum(share * module.in_features + method.start_rank for module in own)
    # Layers with the same input share it.
    shared = {_input_of(module, block): module.in_features for module in own}
    return sum(shared.values()) + (0 if is_full else len(own) * method.start_rank)


def _input_of(module: LinearModule, block: _Block) -> str:
    if _is_up(module, block.inner):
        return "feed forward"
    if module.in_features == block.inner:
        return "activation"
    kind = module.kind.lower()
    if any(part in kind for part in ("out", "o_proj", "c_proj", "wo")) or kind.endswith(".o"):
        return f"output {module.name.rsplit('.', 2)[0]}"
    return f"attention {module.name.rsplit('.', 2)[0]}"


def _attention_maps(block: _Block, sizes: ModelSizes, step: Step) -> float:
    """Numbers in the attention maps of a batch that are kept; 0 if one kernel computes the attention."""
    # On a CPU the fused kernel has no dropout.
    if sizes.has_sdpa and not (step.device == "cpu" and sizes.has_attention_dropout):
        return 0.0
    kept = _ATTENTION_MAPS if sizes.has_attention_dropout else 1
    own = step.target_tokens if block.is_decoder else step.tokens
    pairs = own * own + (own * step.tokens if block.is_decoder and _attentions(block) > 1 else 0)
    return kept * sizes.heads * step.rows * pairs


def _attentions(block: _Block) -> int:
    """2 for a decoder's block that also reads the encoder's output."""
    return 1 + any(part in module.name for module in block.attention for part in ("encoder_attn", "EncDecAttention"))


def _noise(step: Step) -> float:
    """Size of dropout's noise, compared with the tensor: as many numbers on a CPU, one byte each on a GPU."""
    return 1.0 if step.device == "cpu" else 0.25


def _blocks(modules: Sequence[LinearModule]) -> list[_Block]:
    found: dict[str, list[LinearModule]] = defaultdict(list)
    for module in modules:
        parts = module.name.split(".")
        at = next((index for index, part in enumerate(parts) if part.isdigit()), 0)
        found[".".join(parts[: at + 1])].append(module)
    blocks = []
    for path, inside in found.items():
        inner = _inner_width(inside)
        blocks.append(_Block(inside, "decoder" in path.split(".") and _has_encoder(found), inner))
    return blocks


def _has_encoder(paths: dict[str, list[LinearModule]]) -> bool:
    return any("encoder" in path.split(".") for path in paths)


def _inner_width(modules: Sequence[LinearModule]) -> int:
    """The input of the layer that narrows most: the second one of the feed-forward part."""
    down = max(modules, key=lambda module: module.in_features - module.out_features)
    return down.in_features if down.in_features > down.out_features else 0


def _is_up(module: LinearModule, inner: int) -> bool:
    return bool(inner) and module.in_features < inner and module.out_features in (inner, 2 * inner)
