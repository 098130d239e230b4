"""The fields of runs, and help with filters."""

from typing import Annotated

from fastapi import APIRouter, Query

from rankscope.api.deps import EngineDep, NowDep
from rankscope.api.guard.access import needs
from rankscope.api.shapes.run_table import FieldList, FilterCheck, FilterProblemShape, SuggestionShape
from rankscope.api.shapes.table_rows import field_shape
from rankscope.store.database.engine import reading
from rankscope.store.listing import filter_text
from rankscope.store.listing.fields import METRIC_PARTS, config_fields, own_fields
from rankscope.store.listing.metric_names import metric_names, recorded_metrics, usual_steps
from rankscope.store.listing.suggestions import suggest

router = APIRouter(prefix="/runs", tags=["runs"])


@router.get("/fields")
@needs("read")
def list_fields(engine: EngineDep) -> FieldList:
    """The fields by which runs are filtered, sorted and shown."""
    with reading(engine) as session:
        recorded = recorded_metrics(session)
        steps = usual_steps(session, recorded)
    every = [*own_fields().values(), *config_fields().values()]
    return FieldList(items=[field_shape(field) for field in every], metrics=recorded, parts=METRIC_PARTS, steps=steps)


@router.get("/filter")
@needs("read")
def check_filter(
    engine: EngineDep,
    now: NowDep,
    text: Annotated[str, Query(max_length=2 * filter_text.LONGEST, description="The filter as typed so far.")] = "",
    at: Annotated[int | None, Query(ge=0, description="Suggest for this character. Default: the end.")] = None,
) -> FilterCheck:
    """What is wrong with a filter, and what could follow at a place in it."""
    problem = None
    with reading(engine) as session:
        try:
            filter_text.parse(text, now=now, metrics=lambda: metric_names(session))
        except filter_text.FilterProblem as found:
            problem = FilterProblemShape(
                message=found.message, next_step=found.next_step, start=found.start, end=found.end
            )
        place = len(text) if at is None else min(at, len(text))
        suggested = suggest(session, text, place)
    return FilterCheck(
        problem=problem,
        start=suggested.start,
        suggestions=[SuggestionShape(text=each.text, note=each.note, kind=each.kind) for each in suggested.items],
    )
