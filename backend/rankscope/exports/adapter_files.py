"""The files of an adapter's zip in either layout, with a base model name that readers can load."""

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
    """The files of the adapter in `folder`, which is compact on disk. `modules`: the run's modules, as in its events."""
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
    """Size of the weights in bytes, for each possible layout."""
    sizes: dict[Layout, int] = {}
    with suppress(NotUniform):
        sizes["uniform"] = UniformAdapter(folder, _sizes_of(modules)).size_bytes
    with suppress(OSError):
        sizes["compact"] = (folder / WEIGHTS).stat().st_size
    return sizes


def _sizes_of(modules: Iterable[StoredModule]) -> dict[str, tuple[int, int]]:
    return {module["name"]: (module["out_features"], module["in_features"]) for module in modules}


def source_of(run: Run, catalog: Catalog) -> str | None:
    """Returns the run's base model for `from_pretrained`; None if it is no longer installed."""
    try:
        return catalog.model(run.model_id).source
    except RankScopeError:
        return None


def _with_base(config: bytes, source: str | None) -> bytes:
    """The adapter's config with the base model's name or folder as `from_pretrained` takes it; unchanged if `source` is None."""
    if source is None:
        return config
    changed = json.loads(config) | {"base_model_name_or_path": source}
    return (json.dumps(changed, indent=2, sort_keys=True) + "\n").encode()
