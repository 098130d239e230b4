"""The document that the page's types are generated from."""

import json
from collections import Counter

import jsonschema
import pytest
from sqlalchemy import Engine

from rankscope import openapi
from rankscope.contract.events import RanksEvent, WarningEvent
from rankscope.store.database.engine import reading
from rankscope.store.history import events
from tests.backend.store_setup import append, metric, modules, training_run


def test_committed_document_is_up_to_date() -> None:
    assert openapi.TARGET.read_text(encoding="utf-8") == openapi.text(), "run `python -m rankscope.openapi`"


def test_every_operation_has_a_unique_name_descriptions_and_problems() -> None:
    document = json.loads(openapi.text())
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert max(Counter(operation["operationId"] for operation in operations).values()) == 1
    for operation in operations:
        assert operation["description"]
        assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                assert parameter.get("description"), f"{operation['operationId']}: {parameter['name']}"


def test_examples_fit_their_schema() -> None:
    document = json.loads(openapi.text())
    body = document["paths"]["/api/v1/runs"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]
    for example in body["examples"].values():
        jsonschema.validate(example["value"], body["schema"] | {"components": document["components"]})


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def test_stored_events_fit_their_described_shape(engine: Engine) -> None:
    claimed = training_run(engine)
    snapshot = RanksEvent(step=0, budget=12, live=12, modules=4, width=3, mask="", scores="", threshold=float("nan"))
    warning = WarningEvent(code="x", message="y")
    append(engine, claimed, [modules(), snapshot, metric("x", 1, float("inf")), warning])
    components = json.loads(openapi.text())["components"]
    with reading(engine) as session:
        found = events.read_after(session, claimed.run_id, 0)
    assert len(found) == 7
    for event in found:
        jsonschema.validate(event, {"$ref": "#/components/schemas/StoredEvent", "components": components})
