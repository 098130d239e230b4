"""What can be launched here: the form's schema, presets, methods and data sets."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from rankscope.api.deps import CatalogDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes.base import DatasetList, DatasetPreview, PresetList
from rankscope.api.shapes.datasets import dataset_shape
from rankscope.api.shapes.methods import MethodList, MethodShape
from rankscope.api.shapes.tasks import TaskList, TaskShape
from rankscope.api.shapes.views import preset_list
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import NotFound, UnknownName
from rankscope.contract.methods import METHODS
from rankscope.contract.presets import presets
from rankscope.contract.tasks import TASKS
from rankscope.launch.installed_presets import installed_presets

router = APIRouter(tags=["catalogue"])


@router.get("/config-schema")
@needs("read")
def get_config_schema() -> dict[str, object]:
    """JSON Schema of a run's configuration, with help texts; the page builds its form from it."""
    return RunConfig.model_json_schema()


@router.get("/tasks")
@needs("read")
def list_tasks() -> TaskList:
    """The tasks that a run can be trained for, with the names of their metrics."""
    return TaskList(
        items=[
            TaskShape(
                name=name,
                title=str(kind.model_config.get("title", name)),
                headline=kind.usual_headline().name,
                best_by=kind.best_by(),
                metrics=list(kind.described()),
            )
            for name, kind in TASKS.items()
        ]
    )


@router.get("/presets")
@needs("read")
def list_presets(catalog: CatalogDep) -> PresetList:
    """Ready-made configurations, with the models and data sets of this installation, and what is missing for them."""
    return preset_list(installed_presets(presets(), catalog))


@router.get("/methods")
@needs("read")
def list_methods() -> MethodList:
    """The methods and how they behave: ranks, steering, what a fork may change."""
    return MethodList(items=[MethodShape.of(kind) for kind in METHODS.values()])


@router.get("/datasets")
@needs("read")
def list_datasets(catalog: CatalogDep) -> DatasetList:
    """Data sets of this installation."""
    return DatasetList(items=[dataset_shape(entry) for entry in catalog.datasets()])


@router.get("/datasets/{dataset_id}/preview")
@needs("read")
def preview_dataset(
    dataset_id: Annotated[str, Path(min_length=1, max_length=200, examples=["rotten-tomatoes"])],
    catalog: CatalogDep,
    rows: Annotated[int, Query(ge=1, le=100, description="Number of rows to show.")] = 5,
) -> DatasetPreview:
    """The first rows of a data set."""
    try:
        entry = catalog.dataset(dataset_id, field="dataset_id")
    except UnknownName as error:
        raise NotFound(f"There is no data set {dataset_id!r}.", error.next_step) from error
    return DatasetPreview(columns=list(entry.columns), rows=entry.first_rows(rows), total_rows=entry.rows or 0)
