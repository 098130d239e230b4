"""Downloads data sets from a hub on loopback with the real job."""

import gzip
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.imported.folders import Folders
from rankscope.contract.downloads import DataDownloadPayload
from rankscope.contract.preset import Preset
from rankscope.contract.presets import presets
from rankscope.contract.stored import Payload
from rankscope.launch.installed_presets import InstalledPreset, installed_presets
from rankscope.settings import Settings
from rankscope_worker.child.hub import files as hub_files
from rankscope_worker.child.hub.client import HubError
from rankscope_worker.child.jobs.download_data import explain, run
from tests.imports import profile_of
from tests.worker.child.hub.stand_in import COMMIT, TOKEN, StandIn, serving


def parquet(folder: Path, query: str) -> bytes:
    path = folder / "made.parquet"
    duckdb.sql(f"COPY ({query}) TO '{path}'")
    return path.read_bytes()


def csv(split: str, rows: int) -> bytes:
    return b"text,label\n" + b"".join(f"a {split} film {n},{n % 2}\n".encode() for n in range(rows))


@pytest.fixture
def hub() -> Iterator[StandIn]:
    files = {"data/train.csv": csv("train", 40), "data/dev.csv": csv("dev", 10), "README.md": b"hi"}
    with serving(StandIn(files | {"tiny.py": b"raise SystemExit"})) as hub:
        yield hub


@pytest.fixture
def settings(tmp_path: Path, hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("RANKSCOPE_HF_TOKEN", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return Settings(_env_file=None, data_dir=tmp_path / "data", hub_endpoint=hub.url, low_disk=0)


def download(settings: Settings, **what: str) -> Payload:
    shares: list[float] = []
    payload: Payload = {"hub_id": "team/tiny", **what}
    result = run(settings, payload, shares.append)
    assert shares == sorted(shares)
    return result


def refused(settings: Settings, **what: str) -> str:
    with pytest.raises((HubError, BrokenFile)) as caught:
        download(settings, **what)
    message, next_step = explain(caught.value)
    assert next_step
    assert TOKEN not in message + next_step
    assert Folders(settings.data_dir).set_ids() == []
    return f"{message} {next_step}"


def rows_of(settings: Settings, dataset_id: str) -> list[dict[str, Any]]:
    with Catalog(settings).dataset(dataset_id).open() as table:
        return [dict(record) for _, record in table.records]


def fetched(hub: StandIn) -> list[str]:
    return [path.partition("/resolve/")[2].partition("/")[2] for path, _, _ in hub.requests if "/resolve/" in path]


def test_a_data_set_is_imported_with_its_splits_pinned_and_downloaded_once(settings: Settings, hub: StandIn) -> None:
    result = download(settings, revision="v1")
    assert (result["revision"], result["subset"]) == (COMMIT, "default")
    found = str(result["dataset_id"])
    entry = Catalog(settings).dataset(found)
    assert (entry.columns, entry.split_column, entry.rows) == (("text", "label", "split"), "split", 50)
    assert {row["text"].split()[1]: row["split"] for row in rows_of(settings, found)} == {
        "train": "train",
        "dev": "validation",
    }
    origin = profile_of(settings.data_dir, found).origin
    assert origin is not None
    assert (origin.hub_id, origin.commit, origin.requested, origin.license) == ("team/tiny", COMMIT, "v1", "mit")
    assert sorted(fetched(hub)) == ["data/dev.csv", "data/train.csv"], "never code"
    assert not any(Folders(settings.data_dir).unfinished.glob("*/"))
    before = len(hub.requests)
    assert download(settings)["dataset_id"] == found
    assert len(hub.requests) == before + 1


def test_a_preset_asks_for_its_data_set_and_then_has_it(settings: Settings) -> None:
    wanted = DataDownloadPayload(hub_id="team/tiny", subset="default")
    config = presets()[0].config
    config = config.model_copy(update={"data": config.data.model_copy(update={"id": "local:tiny", "split": "parts"})})
    preset = Preset("tiny", "Tiny", "", config, hub_data=wanted)
    assert installed_presets([preset], Catalog(settings)) == [InstalledPreset(preset, None, wanted)]
    found = download(settings)["dataset_id"]
    other = replace(preset, hub_data=DataDownloadPayload(hub_id="team/tiny", subset="other"))
    here, still_missing = installed_presets([preset, other], Catalog(settings))
    assert here.missing_data is None
    assert here.preset.config.data.model_dump() == config.data.model_dump() | {"id": found}
    assert still_missing == InstalledPreset(other, None, other.hub_data)
    settings.datasets_dir.mkdir()
    (settings.datasets_dir / "tiny.csv").write_bytes(csv("own", 4))
    assert installed_presets([preset], Catalog(settings)) == [InstalledPreset(preset)]


def test_files_of_several_formats_and_columns_become_one_table(
    settings: Settings, hub: StandIn, tmp_path: Path
) -> None:
    hub.files = {
        "all/train-00000-of-00002.parquet": parquet(tmp_path, "SELECT 'a' AS text, 1 AS label, [1, 2] AS tags"),
        "all/train-00001-of-00002.parquet": parquet(tmp_path, "SELECT 'b' AS text, 'x' AS label, NULL::INT AS more"),
        "all/test-00000-of-00001.parquet": parquet(tmp_path, "SELECT 'c' AS text, NULL::INT AS label, 'plain' AS tags"),
        "all/notes.csv": b"this,is,another,format\n",
    }
    found = str(download(settings)["dataset_id"])
    row = {"more": None}
    assert rows_of(settings, found) == [
        row | {"text": "a", "label": "1", "tags": [1, 2], "split": "train"},
        row | {"text": "b", "label": "x", "tags": None, "split": "train"},
        row | {"text": "c", "label": None, "tags": "plain", "split": "test"},
    ]


def test_a_card_names_subsets_of_which_one_is_chosen(settings: Settings, hub: StandIn) -> None:
    hub.files = {
        "cola/train.csv": csv("cola", 4),
        "cola/extra/validation.jsonl.gz": gzip.compress(b'{"text": "x", "label": 1}\n'),
        "sst2/train.csv": csv("sst2", 6),
        "split/secret.csv": csv("secret", 3),
    }
    hub.card = {
        "configs": [
            {"config_name": "cola", "data_files": [{"split": "train", "path": ["cola/t*.csv"]}]},
            {"config_name": "sst2", "data_files": {"train": "sst2/**", "test": "https://example.org/x.csv"}},
            {"config_name": "odd", "data_files": [{"split": "../x", "path": "**"}, 3, None]},
            "odd",
        ]
    }
    assert "team/tiny has the subsets 'cola', 'sst2'. Choose one" in refused(settings)
    assert "has no subset 'no', but the subsets 'cola', 'sst2'." in refused(settings, subset="no")
    assert fetched(hub) == []
    result = download(settings, subset="cola")
    assert str(result["dataset_id"]).startswith("imported:tiny-cola-")
    assert [row["text"] for row in rows_of(settings, str(result["dataset_id"]))] == [
        f"a cola film {n}" for n in range(4)
    ]
    assert fetched(hub) == ["cola/train.csv"]


def test_a_later_commit_is_the_next_version(settings: Settings, hub: StandIn) -> None:
    first = str(download(settings)["dataset_id"])
    hub.commit = "c0ffee"
    hub.files["data/train.csv"] = csv("train", 41)
    second = str(download(settings)["dataset_id"])
    assert second == first.replace("@1", "@2")
    assert (len(rows_of(settings, first)), len(rows_of(settings, second))) == (50, 51)


def test_a_private_or_gated_data_set_needs_the_token_of_the_environment(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.is_private = True
    assert "There is no data set team/tiny" in (said := refused(settings))
    assert "For a private data set, set RANKSCOPE_HF_TOKEN" in said
    hub.is_private, hub.is_gated = False, True
    assert f"Accept its terms at {hub.url}/datasets/team/tiny" in refused(settings)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    result = download(settings)
    written = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    assert TOKEN not in json.dumps(result) + caplog.text + written.decode("utf-8", "replace")


def test_a_download_that_was_given_up_continues(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_files, "TRIES", 1)
    hub.cuts = {"data/train.csv": 300}
    assert "broke after 300 of" in refused(settings)
    hub.requests.clear()
    assert len(rows_of(settings, str(download(settings)["dataset_id"]))) == 50
    assert hub.requests[1][1] == "bytes=300-"


def test_a_damaged_or_broken_file_leaves_no_data_set(settings: Settings, hub: StandIn) -> None:
    hub.damaged = {"data/train.csv"}
    assert "data/train.csv was damaged on the way" in refused(settings)
    hub.damaged = set()
    hub.files["data/dev.csv"] = b"text,label\nbroken\n"
    assert refused(settings).startswith("data/dev.csv: None of its rows can be read. Line 2: ")


def test_only_hosts_of_the_hub_are_contacted_and_names_are_not_used_on_disk(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_HF_TOKEN", TOKEN)
    with serving(StandIn(hub.files)) as other:
        hub.redirects = {"data/train.csv": f"{other.url}/data/train.csv"}
        assert "which is not one of its hosts" in refused(settings)
        assert other.requests == []
    hub.redirects = {}
    hub.files = {"../../../train.csv": b"", "/etc/test.csv": b"", "a/../dev.csv": b"", "a;b/x\\y.csv": csv("odd", 3)}
    assert len(rows_of(settings, str(download(settings)["dataset_id"]))) == 3
    assert fetched(hub)[1:] == ["a;b/x\\y.csv"]
    assert sorted(path.name for path in settings.data_dir.iterdir()) == ["imported", "uploads"]


def test_a_repository_without_data_files_says_what_to_do(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files = {"tiny.py": b"raise SystemExit", "README.md": b"hi"}
    assert "has code that makes its data, which is never run" in (said := refused(settings))
    assert "refs/convert/parquet" in said
    del hub.files["tiny.py"]
    assert "has no CSV, TSV, JSON or Parquet files" in refused(settings)
    assert "There is no data set team/other" in refused(settings, hub_id="team/other")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert refused(settings).startswith("HF_HUB_OFFLINE is set on the worker")
