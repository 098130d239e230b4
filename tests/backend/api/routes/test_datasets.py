"""Uploads of data files, and what the API then says about the imported data set. The import itself is a worker's job."""

import gzip
import http.client
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from rankscope.api.routes.data import uploads
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.imported.folders import Folders
from rankscope.catalog.imported.uploads import remove_old
from rankscope.contract.imports import MAX_UPLOAD_BYTES
from rankscope.contract.jobs import IMPORT_DATA
from rankscope.contract.tables import Job
from rankscope.store import jobs
from rankscope.store.database.engine import reading, writing
from rankscope_worker.child.importing.import_file import import_upload
from rankscope_worker.child.jobs import import_data
from tests.backend.conftest import Server, config_with
from tests.imports import import_bytes, put_upload
from tests.stack import TOKEN, wait_for

CSV = "text,label\n" + "".join(f"film {n},{'good' if n % 3 else 'bad'}\n" for n in range(120))


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture(autouse=True)
def folders(server: Server) -> Iterator[Folders]:
    yield Folders(server.settings.data_dir)
    for name in ("imported", "uploads"):
        shutil.rmtree(server.settings.data_dir / name, ignore_errors=True)


def send(api: httpx.Client, name: str, content: bytes, **query: Any) -> httpx.Response:
    headers = {"Content-Type": "application/octet-stream"}
    return api.post("/api/v1/datasets/uploads", params={"name": name} | query, content=content, headers=headers)


def problem(answer: httpx.Response, status: int) -> str:
    body = answer.json()
    assert answer.status_code == status, body
    assert body["next_step"]
    return f"{body['detail']}"


@pytest.fixture
def imported(server: Server) -> str:
    return import_bytes(server.settings.data_dir, "films.csv", CSV.encode(), "films-1234")


def test_an_uploaded_file_becomes_a_data_set_with_a_profile(
    server: Server, api: httpx.Client, folders: Folders
) -> None:
    answer = send(api, "../../Meine Filme\u202e.csv", CSV.encode() + b"broken\n")
    assert answer.status_code == 202, answer.text
    upload = answer.json()
    assert upload["name"] == "Meine Filme.csv"
    assert upload["set_id"].startswith("meine-filme-")
    (listed,) = api.get("/api/v1/datasets/uploads").json()["items"]
    assert (listed["status"], listed["message"]) == ("waiting", "No worker is online.")
    with reading(server.app.state.resources.engine) as session:
        (job,) = session.scalars(select(Job)).all()
    assert (job.kind, job.payload) == ("import_data", {"upload_id": upload["id"]})

    import_upload(folders, upload["id"], lambda _: None)
    assert api.get("/api/v1/datasets/uploads").json()["items"] == []
    dataset_id = f"imported:{upload['set_id']}"
    detail = api.get(f"/api/v1/datasets/{dataset_id}").raise_for_status().json()
    assert detail["dataset"]["id"] == f"{dataset_id}@1"
    assert detail["dataset"]["short_id"] == dataset_id
    assert detail["profile"]["classes"] == [["good", 80], ["bad", 40]]
    assert detail["profile"]["rejected"] == [
        {"line": 122, "reason": "It has 1 field, but the header has 2.", "text": "broken"}
    ]
    assert f"{dataset_id}@1" in [item["id"] for item in api.get("/api/v1/datasets").json()["items"]]
    verdict = api.post("/api/v1/runs/validate", json={"config": config_with(**{"data.id": dataset_id})}).json()
    assert verdict["plan"]["config"]["data"]["id"] == f"{dataset_id}@1"
    preview = api.get(f"/api/v1/datasets/{dataset_id}/preview").json()
    assert preview["rows"][0] == {"text": "film 0", "label": "bad"}


def test_rows_are_paged_and_filtered(api: httpx.Client, imported: str) -> None:
    page = api.get(f"/api/v1/datasets/{imported}/rows", params={"offset": 118, "limit": 10}).json()
    assert page["total"] == 120
    assert [(row["number"], row["cells"]) for row in page["rows"]] == [
        (119, ["film 118", "good"]),
        (120, ["film 119", "good"]),
    ]
    query: dict[str, Any] = {"offset": 39, "limit": 10, "column": "label", "value": "bad"}
    page = api.get(f"/api/v1/datasets/{imported}/rows", params=query).json()
    assert (page["total"], [row["cells"] for row in page["rows"]]) == (40, [["film 117", "bad"]])
    missing = api.get(f"/api/v1/datasets/{imported}/rows", params={"column": "label"}).json()
    assert (missing["total"], missing["rows"]) == (0, [])
    wrong = api.get(f"/api/v1/datasets/{imported}/rows", params={"column": "no'; --", "value": "x"})
    assert "which is not a column" in problem(wrong, 422)
    odd = api.get(f"/api/v1/datasets/{imported}/rows", params={"column": "text", "value": "' OR 1=1 --"}).json()
    assert odd["total"] == 0
    assert "was not imported" in problem(api.get("/api/v1/datasets/local:reviews.csv/rows"), 422)


@pytest.mark.parametrize(
    "dataset_id", ["imported:nothing-1234", "imported:films-1234@7", "imported:..", "imported:x@0"]
)
@pytest.mark.usefixtures("imported")
def test_an_unknown_set_or_version_is_not_found(api: httpx.Client, dataset_id: str) -> None:
    problem(api.get(f"/api/v1/datasets/{dataset_id}"), 404)
    problem(api.delete(f"/api/v1/datasets/{dataset_id}"), 404)
    config = config_with(**{"data.id": dataset_id})
    verdict = api.post("/api/v1/runs/validate", json={"config": config}).json()
    assert verdict["problems"][0]["field"] == "config.data.id", verdict


def test_a_run_keeps_its_version_and_protects_it(
    server: Server, api: httpx.Client, imported: str, launch: Callable[..., str]
) -> None:
    run_id = launch(config=config_with(**{"data.id": "imported:films-1234"}))
    second = import_bytes(server.settings.data_dir, "films.csv", CSV.encode() + b"one more,good\n", "films-1234")
    run = api.get(f"/api/v1/runs/{run_id}").json()
    assert run["config"]["data"]["id"] == imported
    versions = api.get("/api/v1/datasets/imported:films-1234").json()["versions"]
    assert [(each["id"], each["rows"], each["runs"]) for each in versions] == [(second, 121, 0), (imported, 120, 1)]
    assert run_id in problem(api.delete("/api/v1/datasets/imported:films-1234"), 409)
    assert api.delete(f"/api/v1/datasets/{second}").status_code == 204
    third = import_bytes(server.settings.data_dir, "films.csv", CSV.encode(), "films-1234")
    assert third == "imported:films-1234@3", "the number of a deleted version is not used again"
    assert api.delete("/api/v1/datasets/imported:films-1234", params={"force": True}).status_code == 204
    assert list((server.settings.data_dir / "imported").iterdir()) == []


def test_a_failed_import_is_listed_and_tried_again_with_other_options(
    server: Server, api: httpx.Client, folders: Folders
) -> None:
    upload = send(api, "a.csv", b"text;label\na;1\nb;0\n").json()
    engine = server.app.state.resources.engine

    def fail() -> None:
        with writing(engine) as session:
            claim = jobs.claim_next(session, worker="w", kinds=["import_data"], lease_s=30, now=1.0)
            assert claim is not None
            jobs.fail(session, claim, "It can't be read.", "Fix the file.", now=1.0)

    fail()
    (listed,) = api.get("/api/v1/datasets/uploads").json()["items"]
    assert (listed["status"], listed["message"], listed["next_step"]) == (
        "failed",
        "It can't be read.",
        "Fix the file.",
    )
    address = f"/api/v1/datasets/uploads/{upload['id']}/import"
    assert "is '||'" in problem(api.post(address, json={"separator": "||"}), 422)
    again = api.post(address, json={"separator": ",", "encoding": "latin-1"}).raise_for_status().json()
    assert (again["status"], again["options"]["separator"]) == ("waiting", ",")
    assert "is being imported" in problem(api.post(address, json={}), 409)
    import_upload(folders, upload["id"], lambda _: None)
    dataset_id = f"imported:{upload['set_id']}"
    profile = api.get(f"/api/v1/datasets/{dataset_id}").json()["profile"]
    assert (profile["separator"], profile["encoding"]) == (",", "latin-1")
    third = api.post(f"/api/v1/datasets/{dataset_id}/import", json={"separator": ";"}).raise_for_status().json()
    assert (third["is_new_set"], third["set_id"]) == (False, upload["set_id"])
    import_upload(folders, third["id"], lambda _: None)
    detail = api.get(f"/api/v1/datasets/{dataset_id}").json()
    assert [column["name"] for column in detail["profile"]["columns"]] == ["text", "label"]
    assert len(detail["versions"]) == 2


def test_uploads_that_nobody_will_import_are_removed_in_time(folders: Folders) -> None:
    kept = put_upload(folders.imported.parent, "a.csv", b"x")
    for age_s in (0.0, 2 * 86_400.0, 4 * 86_400.0):
        remove_old(folders, now=time.time() + age_s)
        assert (kept in folders.upload_ids()) == (age_s < 4 * 86_400)
    (folders.uploads / "stopped1").mkdir()
    remove_old(folders)
    assert folders.upload_ids() == ["stopped1"]
    remove_old(folders, now=time.time() + 2 * 3600)
    assert folders.upload_ids() == []


def test_a_cancelled_upload_is_removed(api: httpx.Client, folders: Folders) -> None:
    upload = send(api, "a.csv", CSV.encode()).json()
    assert api.delete(f"/api/v1/datasets/uploads/{upload['id']}").status_code == 204
    assert list(folders.uploads.iterdir()) == []
    problem(api.delete(f"/api/v1/datasets/uploads/{upload['id']}"), 404)


def test_what_can_not_be_received_leaves_nothing(
    api: httpx.Client, server: Server, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is empty" in problem(send(api, "a.csv", b""), 422)
    assert "not an imported data set" in problem(send(api, "a.csv", b"x", dataset_id="imported:none-1234"), 422)
    with server.client(token=None) as stranger:
        problem(send(stranger, "a.csv", b"x"), 401)
    # Refused by its length, before anything is read.
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    connection.putrequest("POST", "/api/v1/datasets/uploads?name=a.csv")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(MAX_UPLOAD_BYTES + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, "2,000,000,000 bytes" in json.loads(answer.read())["detail"]) == (413, True)
    connection.close()
    # The client disconnects in the middle.
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    connection.putrequest("POST", "/api/v1/datasets/uploads?name=a.csv")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", "5000000")
    connection.endheaders()
    connection.send(b"x" * 2_000_000)
    wait_for("the upload to begin", lambda: folders.upload_ids())
    connection.close()
    wait_for("the broken upload to be removed", lambda: not folders.upload_ids())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads, "_sync", full)
    assert "no space left" in problem(send(api, "a.csv", b"x"), 503)
    assert folders.upload_ids() == []
    with reading(server.app.state.resources.engine) as session:
        assert session.scalars(select(Job).where(Job.kind == IMPORT_DATA.name)).all() == []


def test_a_damaged_set_is_listed_with_the_reason_and_harms_no_other(
    server: Server, api: httpx.Client, imported: str
) -> None:
    good = import_bytes(server.settings.data_dir, "b.csv", CSV.encode())
    home = server.settings.data_dir / "imported" / "films-1234" / "1"
    (home / "profile.json").write_text("{")
    entries = {item["id"]: item for item in api.get("/api/v1/datasets").json()["items"]}
    assert entries[imported]["problem"] == "Its profile is damaged."
    assert entries[imported]["next_step"]
    assert entries[good]["problem"] is None
    detail = api.get(f"/api/v1/datasets/{imported}").json()
    assert (detail["profile"], detail["versions"][0]["problem"]) == (None, "Its profile is damaged.")
    problem(api.get(f"/api/v1/datasets/{imported}/rows"), 422)
    assert api.delete(f"/api/v1/datasets/{imported}").status_code == 204


def test_planning_the_same_split_again_reads_no_rows(server: Server, api: httpx.Client) -> None:
    dataset_id = import_bytes(server.settings.data_dir, "once.csv", CSV.encode(), "once-1234")
    body = {"config": config_with(**{"data.id": dataset_id})}
    first = api.post("/api/v1/runs/validate", json=body).json()
    assert first["plan"]
    rows = server.settings.data_dir / "imported" / "once-1234" / "1" / "rows.parquet"
    rows.write_bytes(bytes(rows.stat().st_size))
    server.app.state.resources.catalog._splits._known.clear()
    again = api.post("/api/v1/runs/validate", json=body).json()
    for answer in (first, again):
        del answer["plan"]["preflight"]  # the free space on the machine changes
    assert again == first


def test_rows_behind_a_link_are_refused(server: Server, api: httpx.Client, imported: str, tmp_path: Path) -> None:
    rows = server.settings.data_dir / "imported" / "films-1234" / "1" / "rows.parquet"
    other = tmp_path / "rows.parquet"
    rows.rename(other)
    rows.symlink_to(other)
    assert "rows are missing" in problem(api.get(f"/api/v1/datasets/{imported}/rows"), 422)


def test_a_download_of_a_data_set_is_requested_once_listed_and_cancelled(api: httpx.Client) -> None:
    path = "/api/v1/data-downloads"
    first = api.post(path, json={"hub_id": "nyu-mll/glue", "subset": "cola"})
    assert first.status_code == 202
    again = api.post(path, json={"hub_id": "nyu-mll/glue", "subset": "cola", "revision": "main"})
    assert again.json()["id"] == first.json()["id"]
    other = api.post(path, json={"hub_id": "nyu-mll/glue", "subset": "sst2"}).json()
    newest, oldest = api.get(path).json()["items"]
    assert (newest["subset"], oldest["subset"]) == ("sst2", "cola")
    assert (oldest["status"], oldest["message"]) == ("waiting", "No worker is online.")
    assert api.post(f"{path}/{other['id']}/cancel").status_code == 204
    assert api.post(f"{path}/{other['id']}/cancel").status_code == 404
    for body in ({"hub_id": "http://169.254.169.254/"}, {"hub_id": "a/../b"}, {"hub_id": "a/b", "subset": ""}):
        refused = api.post(path, json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == ("subset" if "subset" in body else "hub_id")
    assert [item["id"] for item in api.get(path).json()["items"]] == [first.json()["id"]]
    assert api.get("/api/v1/model-downloads").json()["items"] == []


def test_a_version_from_the_hub_is_not_imported_again_without_its_files(server: Server, api: httpx.Client) -> None:
    found = import_bytes(server.settings.data_dir, "a.csv", b"text,label\nx,1\n", "a-1234")
    (Folders(server.settings.data_dir).version("a-1234", 1) / "source").unlink()
    answer = api.post(f"/api/v1/datasets/{found}/import", json={})
    assert answer.status_code == 404
    assert "are not kept" in answer.json()["detail"]
    assert answer.json()["next_step"]


def test_a_file_of_an_allowed_package_is_imported_and_nothing_else(
    server: Server, api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("films_for_test", "other_for_test"):
        (tmp_path / package / "data").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('a package is never run')")
        (tmp_path / package / "data" / "films.csv").write_text(CSV)
    (tmp_path / "films_for_test" / "data" / "link.csv").symlink_to("/etc/passwd")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(server.settings, "data_packages", ["films_for_test", "not_installed_for_test"])
    path = "/api/v1/data-packages"
    expected = {"package": "films_for_test", "path": "data/films.csv", "size_bytes": len(CSV)}
    assert api.get(path).json()["items"] == [expected]
    for package, file in (
        ("other_for_test", "data/films.csv"),
        ("films_for_test", "data/link.csv"),
        ("films_for_test", "data/../data/films.csv"),
        ("films_for_test", "/etc/passwd"),
    ):
        refused = api.post(path, json={"package": package, "path": file})
        assert refused.status_code == 404, (package, file)
        assert "RANKSCOPE_DATA_PACKAGES" in refused.json()["next_step"]
    sent = api.post(path, json={"package": "films_for_test", "path": "data/films.csv"})
    assert sent.status_code == 202
    import_upload(Folders(server.settings.data_dir), sent.json()["id"], lambda _: None)
    found = api.get(f"/api/v1/datasets/imported:{sent.json()['set_id']}").json()
    assert (found["dataset"]["name"], found["profile"]["rows"]) == ("films_for_test films.csv", 120)


def test_the_files_of_a_folder_become_one_data_set_with_their_splits(server: Server, api: httpx.Client) -> None:
    datasets, path = server.settings.datasets_dir, "/api/v1/data-folders"
    folder = datasets / "films of 2020"
    for name, rows in (("train/part-1.csv", 40), ("train/part-2.csv.gz", 30), ("test/part-1.csv", 20)):
        content = "text,label\n" + "".join(f"{name} {n},{'ab'[n % 2]}\n" for n in range(rows))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    (folder / "train" / "part-3.csv").symlink_to("/etc/passwd")
    (folder / "train" / "notes.json").write_text("{}")
    (datasets / "empty").mkdir()
    (datasets / "elsewhere").symlink_to(folder)
    try:
        (listed,) = api.get(path).json()["items"]
        assert (listed["folder"], listed["files"]) == ("films of 2020", 3)
        for name in ("empty", "elsewhere", "..", ".", "films of 2020/train", "missing", "/etc"):
            assert "datasets/" in problem(api.post(path, json={"folder": name}), 404), name
        sent = api.post(path, json={"folder": "films of 2020"}).json()
        import_data.run(server.settings, {"upload_id": sent["id"]}, lambda _: None)
        found = api.get(f"/api/v1/datasets/imported:{sent['set_id']}").json()
        assert (found["dataset"]["name"], found["profile"]["rows"]) == ("films of 2020", 90)
        assert [column["name"] for column in found["profile"]["columns"]] == ["text", "label", "split"]
        assert dict(found["profile"]["columns"][2]["values"]) == {"train": 70, "test": 20}
        assert api.get("/api/v1/datasets/uploads").json()["items"] == []
        assert "are not kept" in problem(api.post(f"/api/v1/datasets/imported:{sent['set_id']}/import", json={}), 404)
        (folder / "test" / "part-1.csv").write_bytes(b"\x00PAR1")
        failed = api.post(path, json={"folder": "films of 2020"}).json()
        with pytest.raises(BrokenFile, match=r"test/part-1\.csv: "):
            import_data.run(server.settings, {"upload_id": failed["id"]}, lambda _: None)
        assert Folders(server.settings.data_dir).versions(failed["set_id"]) == []
    finally:
        (datasets / "elsewhere").unlink()
        shutil.rmtree(folder)
        (datasets / "empty").rmdir()
