"""Adds what FastAPI can't know to its OpenAPI document: problems, events, sign-in."""

from typing import Any, get_args

from rankscope.api.guard.sessions import COOKIE
from rankscope.api.shapes.problems import MEDIA_TYPE
from rankscope.contract.events import RunEvent

_REF = "#/components/schemas/"
_STAMP: dict[str, Any] = {
    "seq": {"type": "integer", "description": "1..n in each run, without gap."},
    "attempt": {"type": "integer"},
    "time": {"type": "number", "description": "Seconds since 1970, UTC."},
}
_STREAM_END: dict[str, Any] = {
    "type": "object",
    "title": "StreamEnd",
    "description": "Data of the stream's `end` event: the run has ended, or was deleted.",
    "properties": {"status": {"type": "string"}, "last_seq": {"type": "integer"}},
    "required": ["status", "last_seq"],
}
_NUMBER: dict[str, Any] = {"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}


def complete(described: dict[str, Any]) -> dict[str, Any]:
    """Changes the document in place and returns it."""
    schemas = described["components"]["schemas"]
    schemas |= _event_schemas() | {"StreamEnd": _STREAM_END}
    schemas["EventPage"]["properties"]["items"]["items"] = {"$ref": f"{_REF}StoredEvent"}
    for always_whole in ("Problem", "FieldProblemShape", "ServiceState"):
        # Only in responses, so fields with a default are always present.
        schemas[always_whole]["required"] = list(schemas[always_whole]["properties"])
    for path in described["paths"].values():
        for operation in path.values():
            operation["responses"]["default"]["content"] = {MEDIA_TYPE: {"schema": {"$ref": f"{_REF}Problem"}}}
    described["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": f"{COOKIE}_8123", "description": "Named by the port."},
    }
    described["security"] = [{"bearer": []}, {"session": []}]
    for operation in [
        *described["paths"]["/api/v1/session"].values(),
        described["paths"]["/api/v1/system/health"]["get"],
    ]:
        operation["security"] = []
    return described


def _event_schemas() -> dict[str, Any]:
    """`StoredEvent` and its kinds as readers see them: with seq, attempt and time, and without null fields."""
    kinds: dict[str, str] = {}
    schemas: dict[str, Any] = {}
    for model in get_args(get_args(RunEvent)[0]):
        schema = model.model_json_schema(ref_template=_REF + "{model}")
        schemas |= schema.pop("$defs", {})
        properties: dict[str, Any] = _STAMP | schema["properties"]
        always = [name for name, field in properties.items() if field.get("default", ...) is not None]
        schema |= {"properties": {name: _as_sent(field) for name, field in properties.items()}, "required": always}
        schemas[model.__name__] = schema
        kinds[model.model_fields["kind"].default] = f"{_REF}{model.__name__}"
    schemas["ComponentChange"]["properties"]["score"] |= _as_sent({"type": "number"})
    del schemas["ComponentChange"]["properties"]["score"]["type"]
    schemas["StoredEvent"] = {
        "oneOf": [{"$ref": ref} for ref in kinds.values()],
        "discriminator": {"propertyName": "kind", "mapping": kinds},
    }
    return schemas


def _as_sent(field: dict[str, Any]) -> dict[str, Any]:
    """A field that is omitted instead of null, and a number that may be NaN."""
    field = {name: value for name, value in field.items() if name != "default"}
    options = [option for option in field.pop("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        field |= options[0]
    if isinstance(each := field.get("additionalProperties"), dict):
        field["additionalProperties"] = _as_sent(each)
    if field.get("type") == "number" and field != _STAMP["time"]:
        del field["type"]
        field |= _NUMBER
    return field
