"""Estimates the memory of a training by part, from the model's files and the configuration. Nothing is loaded."""

from dataclasses import dataclass, fields

from rankscope.catalog import LinearModule, ModelEntry
from rankscope.catalog.models.sizes import quantised_at_load
from rankscope.contract.config import RunConfig
from rankscope.launch.activations import DeviceKind, Step, activation_bytes, evaluation_bytes, output_bytes
from rankscope.launch.plan import RunPlan

EVALUATION_ROWS = 32
"""Rows in a batch of an evaluation if a batch of the training has fewer. One for a language model's logits."""
_PROCESS_BYTES: dict[DeviceKind, int] = {"cpu": 600_000_000, "gpu": 600_000_000}
"""Resident memory of a training process with its libraries, before any model; on a GPU, CUDA's context and kernels."""
_HEAP = {"adapter": 1.75, "model": 1.25}
"""What the C library's heap holds for each byte of activations on a CPU: freed blocks do not fit the next tensors. By what a
method trains, measured with glibc."""
_CHARACTERS_A_TOKEN = 3
"""Fewest characters per token in the longest text, with usual tokenizers: more tokens than that would be overestimated."""
_SPECIAL_TOKENS = 3


@dataclass(frozen=True)
class MemoryParts:
    """Bytes at the peak of a training step."""

    weights: int
    """Frozen weights, or all weights if they are trained."""
    adapter: int
    """Trained adapter at its initial rank, and the trained head."""
    gradients: int
    optimizer: int
    """AdamW's two moments."""
    activations: int
    """What a forward pass keeps for the backward pass."""
    process: int
    """Python, torch and other libraries; on a GPU, the CUDA context."""

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def counted(self) -> int:
        """The parts that are known exactly. The other two are estimates."""
        return self.total - self.activations - self.process


@dataclass(frozen=True)
class MemoryEstimate:
    device: DeviceKind
    parts: MemoryParts
    tokens: int
    """Length of the longest row, for which the peak is estimated."""

    @property
    def estimated(self) -> int:
        """The part of the measured peak that is not counted: on a GPU, torch doesn't count the CUDA context."""
        return self.parts.activations + (self.parts.process if self.device == "cpu" else 0)


def estimate_memory(
    plan: RunPlan, device: DeviceKind, config: RunConfig | None = None, correction: float = 1.0
) -> MemoryEstimate | None:
    """Returns the estimate for a plan, or for its configuration with another batch or length; None for an unknown model.

    `correction`: factor of the parts that are not counted exactly, from earlier runs.
    """
    config = config or plan.config
    model, method = plan.model, config.method
    sizes = model.memory_sizes
    if sizes is None:
        return None
    if config.model.quantization != "none":
        sizes = quantised_at_load(sizes, _quantised_layers(model), config.model.quantization)
    outputs = config.task.head_outputs(plan.split.labels)
    head = 0 if outputs is None else model.head_parameters(outputs, is_linear=config.task.has_linear_head) or 0
    is_full = method.artifact == "model"
    loaded = model.parameters if outputs is None else model.body_parameters + head
    trained = plan.trained_parameters
    step = step_of(plan, config, device)
    kept = activation_bytes(model.modules, plan.modules, sizes, method, step)
    vocabulary = sizes.vocabulary if outputs is None else 0
    evaluation = Step(
        rows=max(step.rows, 1 if vocabulary else EVALUATION_ROWS),
        tokens=step.tokens,
        target_tokens=step.target_tokens,
        device=device,
    )
    heap = _HEAP[method.artifact] if device == "cpu" else 1.0
    activations = max(
        kept * heap + output_bytes(vocabulary, step),
        evaluation_bytes(model.modules, sizes, evaluation, vocabulary),
    )
    parts = MemoryParts(
        weights=sizes.weight_bytes(loaded),
        adapter=0 if is_full else 4 * trained,
        gradients=4 * trained,
        optimizer=8 * trained,
        activations=int(activations * correction),
        process=int(_PROCESS_BYTES[device] * (correction if device == "cpu" else 1.0)),
    )
    return MemoryEstimate(device, parts, step.tokens)


def _quantised_layers(model: ModelEntry) -> list[LinearModule]:
    """bitsandbytes takes all linear layers except head and output layer, which may share the embedding's weights."""
    heads = {*(model.kind.heads if model.kind else ()), "lm_head"}
    return [module for module in [*model.modules, *model.outside] if heads.isdisjoint(module.name.split("."))]


def step_of(plan: RunPlan, config: RunConfig, device: DeviceKind) -> Step:
    """Returns the largest batch: rows as long as the longest text, at most max_length."""
    training = config.training
    longest = dict(plan.dataset.longest)
    tokens = training.max_length
    columns = plan.split.text_columns
    # A language model's task adds to the texts: a template, a prefix, an answer.
    reads_texts_alone = config.task.head_outputs(plan.split.labels) is not None
    if reads_texts_alone and columns and all(column in longest for column in columns):
        characters = sum(longest[column] for column in columns)
        tokens = min(tokens, characters // _CHARACTERS_A_TOKEN + _SPECIAL_TOKENS)
    return Step(
        rows=training.batch_size,
        tokens=tokens,
        target_tokens=config.task.target_length or tokens,
        device=device,
        is_bf16=config.hardware.precision == "bf16",
        has_checkpointing=config.hardware.gradient_checkpointing,
    )
