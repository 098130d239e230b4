"""Changes to several runs at once, with what is needed to undo them."""

from fastapi import APIRouter

from rankscope.api.deps import EngineDep, NowDep
from rankscope.api.guard.access import LARGE_JSON, needs
from rankscope.api.shapes.run_table import LabelChange, LabelRestore, Labels, LabelsBefore
from rankscope.store import labels
from rankscope.store.database.engine import writing

router = APIRouter(prefix="/runs", tags=["runs"])


@router.post("/labels")
@needs("launch", LARGE_JSON)
def change_labels(body: LabelChange, engine: EngineDep, now: NowDep) -> LabelsBefore:
    """Adds and removes tags, sets the project, archives, or brings back from the archive. All runs or none."""
    run_ids = list(dict.fromkeys(body.run_ids))
    given = body.model_dump(include={"project", "archived"}, exclude_none=True)
    with writing(engine) as session:
        before = labels.retag(session, run_ids, add=body.add_tags, remove=body.remove_tags, changes=given, now=now)
    return LabelsBefore(before=[Labels(id=run_id, **before[run_id]) for run_id in run_ids])


@router.post("/labels/restore")
@needs("launch", LARGE_JSON)
def restore_labels(body: LabelRestore, engine: EngineDep, now: NowDep) -> LabelsBefore:
    """Gives runs the labels that they had, for example those that POST /runs/labels returned. Skips deleted runs."""
    wanted = {
        item.id: labels.Labels(name=item.name, tags=item.tags, project=item.project, archived=item.archived)
        for item in body.items
    }
    with writing(engine) as session:
        before = labels.restore(session, wanted, now=now)
    return LabelsBefore(before=[Labels(id=run_id, **old) for run_id, old in before.items()])
