"""Job `predict`: the predictions of a finished run's model and of its base model for texts."""

from collections.abc import Callable

from rankscope.catalog import Catalog
from rankscope.catalog.changed_inputs import check_model
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, InputsChanged
from rankscope.contract.predictions import PredictPayload, PredictResult
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine, reading
from rankscope.store.runs import get_run
from rankscope_worker.child.fast_imports import fast_imports
from rankscope_worker.child.inputs import is_quantised
from rankscope_worker.child.loading.causes import name_of, one_line, out_of_memory
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.database_retries import DATABASE_ERRORS


def run(settings: Settings, payload: Payload, _report: Callable[[float], None]) -> Payload:
    """Returns the predictions of both models for the inputs."""
    request = PredictPayload.model_validate(payload)
    engine = create_engine(settings.resolved_database_url)
    with reading(engine) as session:
        run = get_run(session, request.run_id)
        config, labels = RunConfig.stored(run.config), list(run.environment.get("labels", []))
        artifact = settings.attempt_dir(run.id, request.attempt) / str(run.artifact)
        launched_with = run.environment.get("model_fingerprint")
    model = Catalog(settings).model(config.model.id)
    check_model(model, launched_with)
    # Imported here, because only now it is known whether bitsandbytes is needed.
    with fast_imports(with_quantisation=is_quantised(config, model)):
        from rankscope_worker.child.predictions import predict

    name = config.task.inputs()[0].name
    inputs = request.inputs or [{name: text} for text in request.texts]
    items, note = predict(config, labels, model.folder, artifact, inputs)
    return PredictResult(items=items, note=note).model_dump()


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem and the next step."""
    if out_of_memory(error) is not None:
        return f"The worker's memory ran out: {one_line(error)}", "Free memory on the worker's host, then try again."
    if isinstance(error, InputsChanged):
        return one_line(error), "Restore the model's files, then try again."
    if isinstance(error, BadInput):  # the model's folder is missing, or its files are damaged
        return (
            f"The run's model {error.problems[0].message.rstrip('.')}.",
            "Restore the model's folder, then try again.",
        )
    if isinstance(error, DATABASE_ERRORS):
        return f"The worker can't read the database: {one_line(error)}", "Try again once the database responds."
    if isinstance(error, UnusableModel):
        return one_line(error), "Restore the files of the model, then try again."
    # The other causes can only occur after torch was imported.
    from rankscope_worker.child.loading.encoding import UnusableText
    from rankscope_worker.child.predictions import CannotLoad
    from rankscope_worker.child.tasks import NotFinite

    if isinstance(error, UnusableText):
        return one_line(error), "Change the text, then try again."
    if isinstance(error, NotFinite):
        return one_line(error), "Use a run that ended with finite losses."
    if isinstance(error, CannotLoad):
        return one_line(error), "Check the model's folder and the run's result in the data folder."
    return (
        f"The prediction failed with an unexpected error: {name_of(error)}",
        "Try again. If it fails in the same way, report it with the end of the worker's log.",
    )
