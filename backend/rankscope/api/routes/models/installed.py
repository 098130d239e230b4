"""Models of this installation: what they are, which runs use them, and deletion."""

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path

from rankscope.api.deps import CatalogDep, EngineDep, SettingsDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes.models import ModelList, model_shape
from rankscope.api.shapes.modules import ModuleList, module_list
from rankscope.catalog import ModelEntry
from rankscope.contract.errors import NotFound, UnknownName
from rankscope.store.database.engine import reading
from rankscope.store.model_use import model_use, why_in_use

router = APIRouter(prefix="/models", tags=["catalogue"])

ModelId = Annotated[str, Path(min_length=1, max_length=1000, examples=["local:my-model"])]


@router.get("")
@needs("read")
def list_models(catalog: CatalogDep, engine: EngineDep, settings: SettingsDep) -> ModelList:
    """Models of this installation, with the runs that use them."""
    entries = catalog.models()
    with reading(engine) as session:
        use = model_use(session)
    return ModelList(
        items=[
            model_shape(entry, use.get(entry.id), is_deletable=_is_in(entry, settings.models_dir)) for entry in entries
        ]
    )


def _is_in(entry: ModelEntry, models_dir: FilePath) -> bool:
    """Whether it is a folder of the models folder, or a link in it."""
    return entry.folder.parent == models_dir and (entry.folder.is_dir() or entry.folder.is_symlink())


@router.get("/{model_id}/modules")
@needs("read")
def list_modules(model_id: ModelId, catalog: CatalogDep) -> ModuleList:
    """The linear layers of a model, read from the headers of its weight files: those in numbered blocks, then the others."""
    try:
        return module_list(catalog.model(model_id, field="model_id"))
    except UnknownName as error:
        raise NotFound(f"There is no model {model_id!r}.", error.next_step) from error


@router.delete("/{model_id}", status_code=204)
@needs("admin")
def delete_model(model_id: ModelId, catalog: CatalogDep, engine: EngineDep) -> None:
    """Deletes a model's folder from the models folder. Refused while a run that uses it is waiting or on a worker.

    Runs that were trained with it stay, but can't be resumed, forked or tried any more.
    """

    def is_used() -> str | None:
        with reading(engine) as session:
            return why_in_use(session, model_id)

    catalog.delete_model(model_id, is_used)
