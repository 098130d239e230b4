"""The gate enforces each route's requirements: rights, and bodies of a declared kind and size."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, File, Request, UploadFile
from fastapi.routing import APIRoute

from rankscope.api.guard.access import Access, BodyRule, Right, needs, open_to_all, upload
from rankscope.api.guard.auth import Gatekeeper
from rankscope.app import _ROUTERS, create_app
from rankscope.settings import Settings
from tests.backend.conftest import CONFIG, Server
from tests.stack import TOKEN


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


ROUTES = [route for module in _ROUTERS for route in module.router.routes if isinstance(route, APIRoute)]


def access_of(route: APIRoute) -> Access:
    access = getattr(route.endpoint, "__access__", None)
    assert isinstance(access, Access), route.path
    return access


@pytest.mark.parametrize("route", ROUTES, ids=[f"{min(route.methods or ())} {route.path}" for route in ROUTES])
def test_route_declares_what_it_needs(route: APIRoute) -> None:
    access = access_of(route)
    # Only a route that reads its body as a stream takes more.
    assert access.body.max_bytes <= 2_000_000 or access.body.media_types == ("application/octet-stream",)
    if access.right is None:
        assert route.path in ("/session", "/system/health")
    if route.methods == {"GET"}:
        assert access.right in ("read", None)
        assert access.body == BodyRule(1_000)
    if route.body_field is not None:
        assert access.body.max_bytes > 1_000, "it reads a body"
    if route.methods == {"DELETE"} and access.right is not None:
        assert access.right == "admin"


def test_application_with_a_route_without_declaration_is_not_created(settings: Settings) -> None:
    router = APIRouter()

    @router.get("/forgotten")
    def forgotten() -> None: ...

    with pytest.raises(ValueError, match="/forgotten does not declare what it needs"):
        create_app(settings, extra_routers=[router])


@pytest.mark.parametrize("route", [route for route in ROUTES if route.methods != {"GET"}], ids=lambda route: route.path)
def test_body_above_the_declared_size_is_refused_before_it_is_sent(server: Server, route: APIRoute) -> None:
    limit = access_of(route).body.max_bytes
    for size, refused in ((limit + 1, True), (limit, False)):
        with closing(
            http.client.HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]), timeout=20)
        ) as connection:
            connection.putrequest(min(route.methods or ()), f"/api/v1{route.path}".replace("{run_id}", "abc123"))
            connection.putheader("Authorization", f"Bearer {TOKEN}")
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            # A stream of another type is refused before its body is read.
            if not refused and limit <= 2_000_000:
                connection.send(b" " * size)
            answer = connection.getresponse()
            body = answer.read()
        assert (answer.status == 413) == refused, f"{size} bytes: {answer.status}"
        assert not refused or f"larger than {limit:,} bytes" in json.loads(body)["detail"]


@pytest.mark.parametrize(
    ("rights", "expected"),
    [
        (("read", "launch", "admin"), {"read": 200, "launch": 201, "admin": 204}),
        (("read", "launch"), {"read": 200, "launch": 201, "admin": 403}),
        (("read",), {"read": 200, "launch": 403, "admin": 403}),
        ((), {"read": 403, "launch": 403, "admin": 403}),
    ],
)
def test_sign_in_opens_what_its_rights_allow(
    catalogue: Settings, serve: Callable[..., Server], rights: tuple[Right, ...], expected: dict[str, int]
) -> None:
    server = serve(catalogue)
    with server.client() as client:
        run_id = client.post("/api/v1/runs", json={"config": CONFIG}).json()["id"]
        resources = server.app.state.resources
        server.app.state.resources = replace(resources, gatekeeper=Gatekeeper(TOKEN, frozenset(rights)))
        answers = {
            "read": client.get("/api/v1/runs"),
            "launch": client.post("/api/v1/runs", json={"config": CONFIG}),
            "admin": client.delete(f"/api/v1/runs/{run_id}"),
        }
        assert {right: answer.status_code for right, answer in answers.items()} == expected
        for right, answer in answers.items():
            assert answer.status_code != 403 or f"'{right}'" in answer.json()["detail"]
        assert client.get("/api/v1/session").status_code == 200


uploads = APIRouter(prefix="/uploads")


@uploads.post("/form")
@needs("launch", upload(3_000_000, "multipart/form-data"))
async def send_form(file: Annotated[UploadFile, File()]) -> dict[str, object]:
    return {"name": file.filename, "size": len(await file.read())}


@uploads.put("/stream")
@needs("launch", upload(5_000_000, "application/octet-stream"))
async def send_stream(request: Request) -> dict[str, object]:
    return {"size": sum([len(part) async for part in request.stream()])}


@uploads.post("/open")
@open_to_all(upload(10))
async def send_without_sign_in(request: Request) -> dict[str, object]:
    return {"size": len(await request.body())}


@pytest.fixture
def uploading(settings: Settings, serve: Callable[..., Server]) -> Iterator[httpx.Client]:
    with serve(settings, extra_routers=[uploads]).client() as client:
        yield client


def test_declared_uploads_of_either_kind_pass_the_gate(uploading: httpx.Client) -> None:
    form = uploading.post("/api/v1/uploads/form", files={"file": ("data.csv", b"x" * 2_900_000)})
    assert (form.status_code, form.json()) == (200, {"name": "data.csv", "size": 2_900_000})
    octets = {"Content-Type": "application/octet-stream"}
    stream = uploading.put("/api/v1/uploads/stream", content=iter([b"x" * 1_000_000] * 4), headers=octets)
    assert (stream.status_code, stream.json()) == (200, {"size": 4_000_000})


def test_upload_above_its_limit_is_refused_with_and_without_its_length(uploading: httpx.Client) -> None:
    octets = {"Content-Type": "application/octet-stream"}
    form = uploading.post("/api/v1/uploads/form", files={"file": ("data.csv", b"x" * 3_000_000)})
    assert (form.status_code, "larger than 3,000,000 bytes" in form.json()["detail"]) == (413, True)
    stream = uploading.put("/api/v1/uploads/stream", content=iter([b"x" * 1_000_000] * 6), headers=octets)
    assert (stream.status_code, "larger than 5,000,000 bytes" in stream.json()["detail"]) == (413, True)


def test_upload_of_another_kind_or_from_another_site_or_without_sign_in_is_refused(uploading: httpx.Client) -> None:
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        answer = uploading.put("/api/v1/uploads/stream", content=b"{}", headers={"Content-Type": content_type})
        assert answer.status_code == 415
        assert answer.json()["next_step"] == "Send the header Content-Type: application/octet-stream."
    # A page of another site can send a form without a preflight request.
    form = {"file": ("data.csv", b"x")}
    with httpx.Client(base_url=uploading.base_url, timeout=20, verify=False) as visitor:
        assert visitor.post("/api/v1/uploads/form", files=form).status_code == 401
        assert visitor.post("/api/v1/session", json={"token": TOKEN}).status_code == 200
        foreign = {"Sec-Fetch-Site": "cross-site"}
        assert visitor.post("/api/v1/uploads/form", files=form, headers=foreign).status_code == 403
        assert visitor.post("/api/v1/uploads/form", files=form).status_code == 200


def test_route_that_is_open_takes_no_more_than_it_declares(uploading: httpx.Client) -> None:
    with httpx.Client(base_url=uploading.base_url, timeout=20, verify=False) as visitor:
        octets = {"Content-Type": "application/octet-stream"}
        assert visitor.post("/api/v1/uploads/open", content=b"x" * 10, headers=octets).json() == {"size": 10}
        assert visitor.post("/api/v1/uploads/open", content=b"x" * 11, headers=octets).status_code == 413
