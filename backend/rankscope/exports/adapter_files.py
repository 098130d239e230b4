"""The members of an adapter's zip in either layout, with the base model named so that a reader finds it."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput, FieldProblem, RankScopeError
from rankscope.contract.stored import StoredModule
from rankscope.contract.tables import Run
from rankscope.exports.archive import Member, members_of
from rankscope.exports.uniform_adapter import CONFIG, WEIGHTS, Layout, NotUniform, UniformAdapter


def adapter_members(
    folder: Path, layout: Layout, modules: Iterable[StoredModule], run: Run, catalog: Catalog
) -> list[Member]:
    """Files of the adapter in `folder`, which is compact on disk. `modules`: the run's own, as its events have them."""
    replaced: dict[str, Member] = {}
    config = (folder / CONFIG).read_bytes()
    if layout == "uniform":
        try:
            uniform = UniformAdapter(folder, _sizes_of(modules))
        except NotUniform as error:
            raise BadInput(
                [
                    FieldProblem(
                        "layout",
                        layout,
                        f"is not possible for the adapter of run {run.id}: {error}",
                        "Use layout compact.",
                    )
                ]
            ) from error
        config = uniform.config()
        replaced[WEIGHTS] = Member(WEIGHTS, uniform.weights())
    replaced[CONFIG] = Member(CONFIG, [_with_base(config, source_of(run, catalog))], is_deflated=True)
    return [replaced.get(member.name, member) for member in members_of(folder)]


def layout_sizes(folder: Path, modules: Iterable[StoredModule]) -> dict[Layout, int]:
    """Bytes of the weights in each layout that is possible."""
    sizes: dict[Layout, int] = {}
    with suppress(NotUniform):
        sizes["uniform"] = UniformAdapter(folder, _sizes_of(modules)).size_bytes
    with suppress(OSError):
        sizes["compact"] = (folder / WEIGHTS).stat().st_size
    return sizes


def _sizes_of(modules: Iterable[StoredModule]) -> dict[str, tuple[int, int]]:
    return {module["name"]: (module["out_features"], module["in_features"]) for module in modules}


def source_of(run: Run, catalog: Catalog) -> str | None:
    """What `from_pretrained` takes for the run's base model; None when the model is no longer here."""
    try:
        return catalog.model(run.model_id).source
    except RankScopeError:
        return None


def _with_base(config: bytes, source: str | None) -> bytes:
    """The adapter's config with its base model by the name or folder that loads it; as it is when that is not known."""
    if source is None:
        return config
    changed = json.loads(config) | {"base_model_name_or_path": source}
    return (json.dumps(changed, indent=2, sort_keys=True) + "\n").encode()
