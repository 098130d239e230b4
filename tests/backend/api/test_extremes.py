"""Extreme values for every parameter of every route in the OpenAPI document: always a small problem, never a 5xx."""

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from tests.backend.conftest import CONFIG, Server
from tests.backend.store_setup import append, begin, claim, losses, modules
from tests.stack import TOKEN
from tests.wide import wide

LARGEST_ANSWER = 2_000_000
EXTREMES = [
    "",
    " ",
    "0",
    "-1",
    "1",
    "1.5",
    "true",
    "null",
    "NaN",
    "Infinity",
    "1e400",
    str(2**31),
    str(2**53),
    str(2**63),
    str(-(2**63) - 1),
    "9" * 5000,
    "x" * 300,
    "x" * 5000,
    "a\x00b",
    "é",
    "🎈",
    "../../etc/passwd",
    "..",
    ".",
    "%",
    "_",
    "'",
    '"',
    "\\",
    "a,b",
    "; DROP TABLE run",
    "[" * 1000,
    "{}",
    "\x1b[31m",
    "\u202e",
]
OF_THE_DATABASE = ["1", "-1", str(2**31), str(2**63), "9" * 5000, "a\x00b", "é", "%", "'"]
"""Values that one database may accept and the other may not."""
ON_EACH_DATABASE = [
    ("sqlite", "every value once"),
    ("postgresql", "of the database"),
    *wide(("sqlite", "every value"), ("postgresql", "every value")),
]
"""Kind of database, and which values its parameters get; `once`: a parameter of many routes gets them in one route."""
RAW = ["%ff%fe", "%", "%zz", "%c3%28", "%00", "%2e%2e%2f", "%f0%9f", "+", "%ed%a0%80"]
"""Inserted into the address unchanged: bytes that are not UTF-8, and invalid escapes."""


@pytest.fixture
def run_id(server: Server, api: httpx.Client) -> str:
    """A run that trains, with events of most kinds."""
    made: str = api.post("/api/v1/runs", json={"config": CONFIG}).json()["id"]
    engine = server.app.state.resources.engine
    claimed = claim(engine)
    assert claimed is not None
    begin(engine, claimed)
    append(engine, claimed, [modules(), *losses(1, 2, 3)])
    return made


def operations(api: httpx.Client) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """(method, path, parameters) of every route except endless streams."""
    document = api.get("/api/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if not path.endswith("/stream") and "session" not in path:
                yield method.upper(), path, operation.get("parameters", [])


def filled(path: str, run: str, one: dict[str, str] | None = None) -> str:
    """The path with a valid value for every parameter except `one`, whose value is inserted unchanged."""
    parts = {"run_id": run, "name": "train_loss", "prediction_id": "abcd", "dataset_id": "local:reviews"} | (one or {})
    pieces = path.split("{")
    whole = pieces[0]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}")
        whole += parts.get(name.partition(":")[0], "abcd") + rest
    return whole


class Reply(NamedTuple):
    status_code: int
    content_type: str | None
    content: bytes


class Connection:
    """Sends addresses unchanged; for most of these requests, httpx takes longer than the server."""

    def __init__(self, server: Server) -> None:
        address = httpx.URL(server.url)
        self._http = HTTPConnection(address.host, address.port, timeout=20)
        self._headers = {"Authorization": f"Bearer {TOKEN}"}

    def request(self, method: str, address: str, body: bytes | None = None) -> Reply:
        headers: Mapping[str, str] = {"Content-Type": "application/json"} if body is not None else {}
        self._http.request(method, address, body, {**self._headers, **headers})
        answer = self._http.getresponse()
        return Reply(answer.status, answer.getheader("Content-Type"), answer.read())

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    connection = Connection(server)
    yield connection
    connection.close()


def check(answer: Reply, what: str) -> None:
    assert answer.status_code < 500, (
        what[:300],
        answer.status_code,
        answer.content[:300],
    )
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json", (what[:300], answer.content[:200])
        assert len(answer.content) < 50_000, what[:300]
    assert len(answer.content) < LARGEST_ANSWER, what[:300]


@pytest.mark.parametrize(("database_kind", "extent"), ON_EACH_DATABASE)
def test_no_value_of_any_parameter_makes_the_server_fail(
    api: httpx.Client, connection: Connection, run_id: str, *, extent: str
) -> None:
    of_the_database = [quote(each, safe="") for each in OF_THE_DATABASE]
    every_value = [*(quote(each, safe="") for each in EXTREMES), *RAW]
    tried, called = set(), 0
    for method, path, parameters in operations(api):
        body = b"{}" if method in ("POST", "PUT", "PATCH") else None
        for parameter in parameters:
            name = parameter["name"]
            kind = json.dumps([name, parameter["in"], parameter["schema"]], sort_keys=True)
            is_new = kind not in tried
            tried.add(kind)
            is_whole = extent == "every value" or (extent == "every value once" and is_new)
            values = every_value if is_whole else of_the_database
            for value in values:
                if parameter["in"] == "path":
                    address = filled(path, run_id, {name: value})
                elif parameter["in"] == "query":
                    address = f"{filled(path, run_id)}?{name}={value}"
                else:
                    continue
                if method == "DELETE" and parameter["in"] == "query":
                    continue
                check(connection.request(method, address, body), f"{method} {address}")
                called += 1
    assert called > 150 * len(of_the_database)


def test_a_parameter_that_is_repeated_many_times_is_refused_or_answered(
    api: httpx.Client, connection: Connection, run_id: str
) -> None:
    for method, path, parameters in operations(api):
        if method != "GET":
            continue
        for parameter in parameters:
            if parameter["in"] != "query":
                continue
            for value, times in (("a", 1500), ("1", 3000), ("train_loss", 1500), (run_id, 1500)):
                query = "&".join([f"{parameter['name']}={value}"] * times)
                check(
                    connection.request("GET", f"{filled(path, run_id)}?{query}"),
                    f"{path}?{parameter['name']}={value} x {times}",
                )


BODIES: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"0",
    b'""',
    b"{",
    b"\xff\xfe",
    b"\x00",
    b"NaN",
    b'{"config": NaN}',
    b'{"a": 1, "a": 2}',
    b"[" * 100_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b'{"config":' + b'{"method":' * 500 + b"1" + b"}" * 501,
    b'{"name": "\\ud800"}',
    b'{"x": ' + b"9" * 10_000 + b"}",
    b'{"x": 1e999999}',
    b'{"tags": [' + b"1," * 100_000 + b"1]}",
    b'{"' + b"k" * 1_000_000 + b'": 1}',
    b"{" + b",".join(b'"f%d": 1' % n for n in range(50_000)) + b"}",
    b'{"changes": ' + b'{"training": ' * 400 + b"1" + b"}" * 401,
    b'{"run_ids": ["a"' + b',"a"' * 5000 + b"]}",
    b'{"texts": ["' + b"x" * 100_000 + b'"]}',
    b'{"step": 1e308, "attempt": -1}',
    b'{"priority": 99999999999999999999}',
    json.dumps({"config": {**CONFIG, "training": {"max_steps": 10**30}}}).encode(),
    json.dumps({"changes": {"training": {"learning_rate": 10**300}}}).encode(),
    json.dumps({"action": "target", "target_rank": 10**30}).encode(),
]


@pytest.mark.parametrize(("database_kind", "extent"), ON_EACH_DATABASE)
def test_no_request_body_makes_the_server_fail(
    api: httpx.Client, connection: Connection, run_id: str, *, extent: str
) -> None:
    for method, path, _ in operations(api):
        if method not in ("POST", "PUT", "PATCH"):
            continue
        for body in (
            BODIES[-6:] if extent == "of the database" else BODIES
        ):  # the last ones are valid JSON with extreme values
            check(connection.request(method, filled(path, run_id), body), f"{method} {path} {body[:60]!r}")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_no_address_of_the_page_makes_the_server_fail(connection: Connection) -> None:
    for part in [*(quote(each, safe="") for each in EXTREMES), *RAW, "a/" * 2000, "x" * 256, "x/" + "y" * 300]:
        for start in ("/", "/assets/", "/runs/", "/api/", "/api/v1/"):
            answer = connection.request("GET", start + part)
            assert answer.status_code < 500 or answer.status_code == 503, (start + part[:200], answer.status_code)
            assert len(answer.content) < 50_000
