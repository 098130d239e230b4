"""An event is encoded once: pydantic's output is stored in the database and sent to every reader unchanged."""

import json
import math
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from rankscope.contract.events import (
    ComponentChange,
    ConfigEvent,
    MetricsEvent,
    ModulesEvent,
    PhaseEvent,
    PruneEvent,
    RunEvent,
    StatusEvent,
    WarningEvent,
)
from rankscope.contract.status import Phase, RunStatus
from rankscope.store.database.engine import reading
from rankscope.store.history import event_text, events
from tests.backend.conftest import Server
from tests.backend.store_setup import append, modules, training_run


@pytest.fixture
def engine(server: Server) -> Engine:
    engine: Engine = server.app.state.resources.engine
    return engine


CHANGE = ComponentChange(module=0, component=1, score=math.nan, order=12)
EVENTS: list[RunEvent] = [
    MetricsEvent(step=1, values={"train_loss": 0.1, "best": math.nan, "up": math.inf, "down": -math.inf, "é": 1e-300}),
    PhaseEvent(phase=Phase.training),
    modules(),
    PruneEvent(step=2, budget=11, total=12, threshold=-math.inf, final=False, pruned=[CHANGE], regrown=[]),
    WarningEvent(code="x", message='quotes " and \\ and é and 🙂 and a\nbreak and \u2028', step=3),
    ConfigEvent(why="retry", changes={"training.batch_size": [None, 8], "data.text_columns": [["a"], None]}),
]


def rows(engine: Engine, run_id: str) -> list[Any]:
    """The rows in the database, read without RankScope's code."""
    query = text(
        "SELECT seq, attempt, time, kind, step, CAST(payload AS TEXT) FROM event WHERE run_id = :run ORDER BY seq"
    )
    with engine.connect() as connection:
        return list(connection.execute(query, {"run": run_id}))


def lines(api: httpx.Client, run_id: str, count: int) -> list[str]:
    """The `data` of the stream's first events, byte for byte."""
    found: list[str] = []
    with api.stream("GET", f"/api/v1/runs/{run_id}/events/stream", headers={"Accept-Encoding": "identity"}) as answer:
        buffer = b""
        for part in answer.iter_bytes():
            buffer += part
            found = [line[6:].decode() for line in buffer.split(b"\n") if line.startswith(b"data: ")]
            if len(found) >= count and buffer.endswith(b"\n\n"):
                return found
    raise AssertionError(f"{len(found)} of {count} events")


def test_stream_has_exactly_the_text_that_pydantic_wrote(api: httpx.Client, engine: Engine) -> None:
    claimed = training_run(engine)
    append(engine, claimed, EVENTS)
    every = rows(engine, claimed.run_id)
    own = every[-len(EVENTS) :]
    for event, row in zip(EVENTS, own, strict=True):
        absent = {name for name, value in event if value is None}
        assert row[5] == event.model_dump_json(exclude={"kind", "step", *absent})
    sent = lines(api, claimed.run_id, len(every))
    for line, (seq, attempt, time, kind, step, payload) in zip(sent, every, strict=True):
        columns = {"seq": seq, "attempt": attempt, "time": time, "kind": kind} | (
            {} if step is None else {"step": step}
        )
        assert line == json.dumps(columns, separators=(",", ":"))[:-1] + f",{payload[1:]}"
    page = api.get(f"/api/v1/runs/{claimed.run_id}/events")
    assert page.text == f'{{"items":[{",".join(sent)}],"last_seq":{len(every)},"has_more":false}}'
    with reading(engine) as session:
        assert events.read_after(session, claimed.run_id, 0) == [json.loads(line) for line in sent]


def test_readers_see_no_null_but_within_lists_and_numbers_that_are_not_finite_as_text(
    api: httpx.Client, engine: Engine
) -> None:
    claimed = training_run(engine)
    append(engine, claimed, EVENTS)
    found = api.get(f"/api/v1/runs/{claimed.run_id}/events").json()["items"][-len(EVENTS) :]
    metrics, phase, of_modules, prune, warning, config = found
    assert metrics["values"] == {"train_loss": 0.1, "best": "NaN", "up": "Infinity", "down": "-Infinity", "é": 1e-300}
    assert set(phase) == {"seq", "attempt", "time", "kind", "phase"}
    original = EVENTS[2]
    assert isinstance(original, ModulesEvent)
    assert of_modules["modules"] == [json.loads(module.model_dump_json()) for module in original.modules]
    assert (prune["threshold"], prune["pruned"][0]["score"]) == ("-Infinity", "NaN")
    assert warning["message"] == 'quotes " and \\ and é and 🙂 and a\nbreak and \u2028'
    assert config["changes"] == {"training.batch_size": [None, 8], "data.text_columns": [["a"], None]}


@pytest.mark.parametrize(
    "payload",
    [
        '{"values": {"train_loss": 0.5, "best": "NaN"}}',  # as earlier versions wrote it
        '{"values": {"\\u00e9": 1.0}, "note": "\\ud83d\\ude42"}',
        '{ "values" : { } }',
    ],
)
def test_row_of_an_earlier_version_is_sent_as_it_stands(api: httpx.Client, engine: Engine, payload: str) -> None:
    claimed = training_run(engine)
    seq = append(engine, claimed, EVENTS[:1])
    _rewrite(engine, claimed.run_id, seq, payload)
    line = lines(api, claimed.run_id, seq)[-1]
    assert line == f'{{"seq":{seq},"attempt":1,"time":4.0,"kind":"metrics","step":1,{payload[1:]}'
    assert json.loads(line) == api.get(f"/api/v1/runs/{claimed.run_id}/events?after={seq - 1}").json()["items"][0]


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_text_with_line_breaks_cannot_create_another_event(api: httpx.Client, engine: Engine, ending: str) -> None:
    claimed = training_run(engine)
    seq = append(engine, claimed, EVENTS[:1])
    _rewrite(engine, claimed.run_id, seq, f'{{"values":{ending}{ending}{{"data: x": 1}}}}')
    line = lines(api, claimed.run_id, seq)[-1]
    assert json.loads(line)["values"] == {"data: x": 1}


def test_event_without_own_fields_is_complete(api: httpx.Client, engine: Engine) -> None:
    claimed = training_run(engine)
    seq = append(engine, claimed, [StatusEvent(status=RunStatus.running)])
    _rewrite(engine, claimed.run_id, seq, None)
    assert lines(api, claimed.run_id, seq)[-1] == f'{{"seq":{seq},"attempt":1,"time":4.0,"kind":"status"}}'


def _rewrite(engine: Engine, run_id: str, seq: int, payload: str | None) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE event SET payload = :payload WHERE run_id = :run AND seq = :seq"),
            {"payload": payload, "run": run_id, "seq": seq},
        )


def test_one_metric_is_read_from_the_text_as_from_the_parsed_event() -> None:
    odd = {'a"b': 1.0, "b": 2.0, "x}": -3e-7, "eval f1/macro": 4.0}
    for event in (EVENTS[0], MetricsEvent(step=1, values=odd), MetricsEvent(step=1, values={"last": 5.0})):
        text_of = event_text.write(event)
        assert text_of is not None
        values: dict[str, Any] = event_text.read(text_of)["values"]  # type: ignore[assignment]
        for name in [*values, "absent", "loss"]:
            expected = str(float(values[name])) if name in values else "None"
            for written in (text_of, json.dumps({"values": values})):  # the second as earlier versions wrote it
                assert str(event_text.metric_reader(name)(written)) == expected, name
