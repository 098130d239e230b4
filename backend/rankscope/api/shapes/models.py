"""What the API returns about models."""

from pydantic import Field

from rankscope.api.shapes.base import Shape
from rankscope.catalog import ModelEntry
from rankscope.contract.status import RunStatus
from rankscope.store.model_use import ModelUse


class ModuleKindShape(Shape):
    """The linear layers of one kind, which target_modules names."""

    name: str = Field(examples=["query"])
    count: int
    parameters: int
    """Of their weights."""
    shapes: list[str] = Field(examples=[["384 x 384"]])
    """Different shapes of the weights, out x in; at most five."""


class LastRunShape(Shape):
    id: str
    name: str
    status: RunStatus
    created_at: float


class ModelShape(Shape):
    """A model, or a folder that looks like one but can't be used: then `problem` says why, and the numbers may be 0."""

    id: str
    name: str
    problem: str | None = Field(examples=["It has no tokenizer files, so every word would be unknown."])
    """Why it can't be used; null if it can."""
    next_step: str | None
    """What to do about the problem."""
    architecture: str
    parameters: int
    layers: int | None
    n_modules: int
    """Linear layers that are adapted if target_modules is empty."""
    module_kinds: list[str]
    """Names to choose target_modules from."""
    modules_by_kind: list[ModuleKindShape]
    """The same kinds with number and size."""
    context_length: int | None
    """Maximum number of tokens in one text; null if there is no limit or it is unknown."""
    size_bytes: int
    dtype: str = Field(examples=["F32"])
    """Type of most numbers in the weight files; empty if unknown."""
    license: str | None = Field(examples=["apache-2.0"])
    """As its README or licence file names it; null if neither does."""
    hub_id: str | None = Field(examples=["facebook/bart-base"])
    """Its name on the hub if it was downloaded; otherwise null."""
    revision: str | None
    """The commit that was downloaded."""
    is_quantised: bool
    description: str
    is_deletable: bool
    """Whether it is in this installation's models folder; a package's model is not."""
    n_runs: int
    """Runs that were launched with it."""
    n_active_runs: int
    """Of these, the ones that are waiting or on a worker."""
    last_run: LastRunShape | None
    """The run that was launched last."""


class ModelList(Shape):
    items: list[ModelShape]


_MOST_SHAPES = 5


def model_shape(entry: ModelEntry, use: ModelUse | None, *, is_deletable: bool) -> ModelShape:
    kinds = _by_kind(entry)
    return ModelShape(
        id=entry.id,
        name=entry.name,
        problem=entry.problem,
        next_step=entry.next_step,
        architecture=entry.architecture,
        parameters=entry.parameters,
        layers=entry.layers,
        n_modules=len(entry.modules),
        module_kinds=[kind.name for kind in kinds],
        modules_by_kind=kinds,
        context_length=entry.context_length,
        size_bytes=entry.size_bytes,
        dtype=entry.dtype,
        license=entry.licence,
        hub_id=entry.hub.hub_id if entry.hub else None,
        revision=entry.hub.revision if entry.hub else None,
        is_quantised=entry.is_quantised,
        description=entry.description,
        is_deletable=is_deletable,
        n_runs=use.runs if use else 0,
        n_active_runs=use.active if use else 0,
        last_run=LastRunShape(id=use.last_id, name=use.last_name, status=use.last_status, created_at=use.last_at)
        if use
        else None,
    )


def _by_kind(entry: ModelEntry) -> list[ModuleKindShape]:
    """The last part of a name is the kind: PEFT matches it in target_modules."""
    kinds: dict[str, ModuleKindShape] = {}
    for module in entry.modules:
        name = module.name.rsplit(".", 1)[-1]
        kind = kinds.setdefault(name, ModuleKindShape(name=name, count=0, parameters=0, shapes=[]))
        shape = f"{module.out_features} x {module.in_features}"
        kind.count += 1
        kind.parameters += module.out_features * module.in_features
        if shape not in kind.shapes and len(kind.shapes) < _MOST_SHAPES:
            kind.shapes.append(shape)
    return list(kinds.values())
