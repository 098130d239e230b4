"""Downloads models from a hub on loopback with the real job."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.config import ModelConfig
from rankscope.contract.downloads import DOWNLOADS, DownloadPayload
from rankscope.contract.errors import StartupError
from rankscope.contract.preset import Preset
from rankscope.contract.presets import presets
from rankscope.contract.stored import Payload
from rankscope.launch.installed_presets import InstalledPreset, installed_presets, is_named
from rankscope.settings import Settings, read_settings
from rankscope_worker.child.hub import files as hub_files
from rankscope_worker.child.hub.client import HubError
from rankscope_worker.child.jobs.download_model import explain, run
from tests.model_folders import CONFIG, WORDS, make_folder
from tests.worker.child.hub.stand_in import COMMIT, TOKEN, StandIn, serving


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[StandIn]:
    folder = make_folder(tmp_path / "original")
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    extra = {
        "pytorch_model.bin": b"PK",
        "modeling_own.py": b"raise SystemExit",
        "onnx/model.onnx": b"x",
        "README.md": b"hi",
    }
    with serving(StandIn(content | extra)) as hub:
        yield hub


@pytest.fixture
def settings(tmp_path: Path, hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("RANKSCOPE_HF_TOKEN", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return Settings(_env_file=None, data_dir=tmp_path / "data", hub_endpoint=hub.url, low_disk=0)


def download(settings: Settings, hub_id: str = "team/tiny", revision: str = "main") -> Payload:
    shares: list[float] = []
    result = run(settings, {"hub_id": hub_id, "revision": revision}, shares.append)
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    return result


def refused(settings: Settings, **what: str) -> str:
    with pytest.raises(HubError) as caught:
        download(settings, **what)
    message, next_step = explain(caught.value)
    assert next_step
    assert TOKEN not in message + next_step
    assert Catalog(settings).models() == [] or all(
        not entry.id.startswith("local:") for entry in Catalog(settings).models()
    )
    return f"{message} {next_step}"


def fetched(hub: StandIn) -> list[str]:
    return [path.rsplit("/", 1)[-1] for path, _, _ in hub.requests if "/resolve/" in path]


def test_a_model_is_downloaded_pinned_and_usable(settings: Settings, hub: StandIn) -> None:
    result = download(settings, revision="v1")
    assert (result["model_id"], result["revision"]) == ("local:team--tiny", COMMIT)
    entry = Catalog(settings).model("local:team--tiny")
    assert entry.hub is not None
    assert (entry.hub.hub_id, entry.hub.revision, entry.hub.requested) == ("team/tiny", COMMIT, "v1")
    assert (entry.source, entry.licence) == ("team/tiny", "mit")
    # Never pickles, code or subfolders.
    assert sorted(fetched(hub)) == ["README.md", "config.json", "model.safetensors", "vocab.txt"]
    before = len(hub.requests)
    assert download(settings)["model_id"] == "local:team--tiny"
    assert len(hub.requests) == before + 1, "the same commit is downloaded once"


def test_a_preset_asks_for_its_model_and_then_has_it(settings: Settings) -> None:
    wanted = DownloadPayload(hub_id="team/tiny")
    config = presets()[0].config.model_copy(update={"model": ModelConfig(id="local:tiny")})
    preset = Preset("tiny", "Tiny", "", config, hub_model=wanted)
    assert installed_presets([preset], Catalog(settings)) == [InstalledPreset(preset, wanted)]
    found = download(settings)["model_id"]
    (here,) = installed_presets([preset], Catalog(settings))
    assert (here.missing_model, here.preset.config.model.id) == (None, found)
    make_folder(settings.models_dir / "tiny")
    assert installed_presets([preset], Catalog(settings)) == [InstalledPreset(preset)]


@pytest.mark.parametrize(("hub_id", "is_same"), [("Face/roberta", True), ("roberta", True), ("other/roberta", False)])
def test_a_name_of_the_hub_is_recognised_without_its_owner(hub_id: str, is_same: bool) -> None:
    assert is_named(hub_id, "Face/roberta") == is_same


def test_a_private_or_gated_model_needs_the_token_of_the_environment(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.is_private = True
    assert "There is no model team/tiny" in (said := refused(settings))
    assert "RANKSCOPE_HF_TOKEN" in said
    hub.is_private, hub.is_gated = False, True
    assert "team/tiny is gated" in refused(settings)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.is_private = True
    result = download(settings)
    folder = settings.models_dir / "team--tiny"
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert TOKEN not in json.dumps(result) + caplog.text + written.decode("utf-8", "replace")


def test_an_unknown_model_or_revision_is_refused(settings: Settings) -> None:
    assert "There is no model team/other" in refused(settings, hub_id="team/other")
    assert "team/tiny has no revision 'v9'" in refused(settings, revision="v9")


def test_a_connection_that_breaks_is_continued_from_where_it_broke(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_files, "PAUSE_S", 0.0)
    hub.cuts = {"model.safetensors": 300}
    download(settings)
    assert [asked for path, asked, _ in hub.requests if path.endswith(".safetensors")] == [None, "bytes=300-"]


def test_a_download_that_was_given_up_continues_and_leaves_nothing_visible(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_files, "TRIES", 1)
    hub.cuts = {"model.safetensors": 300}
    assert "broke after 300 of" in refused(settings)
    assert [path.name for path in settings.models_dir.iterdir()] == [DOWNLOADS]
    hub.requests.clear()
    download(settings)
    assert fetched(hub) == ["model.safetensors"]
    assert hub.requests[-1][1] == "bytes=300-"


def test_a_file_with_another_hash_is_deleted(settings: Settings, hub: StandIn) -> None:
    for name in ("config.json", "model.safetensors"):
        hub.damaged = {name}
        assert f"{name} was damaged on the way" in refused(settings)
        assert not list(settings.models_dir.rglob(f"{name}*"))
    hub.damaged = set()
    download(settings)


def test_only_hosts_of_the_hub_are_contacted_and_only_it_gets_the_token(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKSCOPE_HF_TOKEN", TOKEN)
    with serving(StandIn(hub.files)) as other:
        for address in (
            f"{other.url}/config.json",
            "https://169.254.169.254/",
            "file:///etc/passwd",
            "//127.0.0.1:1/x",
        ):
            hub.redirects = {"config.json": address}
            assert "which is not one of its hosts" in refused(settings)
        assert other.requests == []
    hub.redirects = {"config.json": "/team/tiny/resolve/elsewhere"}
    hub.files["/team/tiny/resolve/elsewhere"] = hub.files["config.json"]
    for name in ("..", "team/../other", "http://x", "team/tiny/more", "-x"):
        with pytest.raises(ValueError, match="hub_id"):
            run(settings, {"hub_id": name}, lambda share: None)
    assert download(settings)["revision"] == COMMIT


def test_a_hub_that_is_out_of_reach_or_no_hub_is_one_sentence(settings: Settings, hub: StandIn) -> None:
    away = settings.model_copy(update={"hub_endpoint": "http://127.0.0.1:1"})
    assert "can't be reached" in refused(away)
    hub.is_hub = False
    assert "did not answer as a model hub" in refused(settings)


def test_an_installation_that_is_offline_contacts_no_hub_and_names_the_variable(
    settings: Settings, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline = settings.model_copy(update={"hub_offline": True})
    assert refused(offline).startswith("RANKSCOPE_HUB_OFFLINE is set on the worker, so nothing is downloaded. Unset ")
    monkeypatch.setenv("HF_HUB_OFFLINE", "True")
    assert refused(settings).startswith("HF_HUB_OFFLINE is set on the worker")
    assert hub.requests == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    download(settings)


def test_a_model_that_no_run_could_use_is_refused(settings: Settings, hub: StandIn) -> None:
    safe = hub.files.pop("model.safetensors")
    assert "no weights in safetensors format. pytorch_model.bin is PyTorch's pickle format" in refused(settings)
    hub.files["model.safetensors"] = safe
    hub.files["config.json"] = json.dumps(CONFIG | {"num_attention_heads": 3}).encode()
    assert "does not divide hidden_size" in refused(settings)
    assert not list((settings.models_dir / DOWNLOADS).glob("*/"))
    assert len(WORDS) == CONFIG["vocab_size"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hub_endpoint": "huggingface.co"}, "--hub-endpoint is 'huggingface.co': it must be an address"),
        ({"hub_endpoint": "https://me:secret@hub.example.org"}, "must be an address without user name"),
        ({"hub_storage_hosts": "*.example.org"}, "must be a host name such as cdn.example.org"),
    ],
)
def test_an_address_that_is_none_is_refused_at_the_start(options: dict[str, object], words: str) -> None:
    with pytest.raises(StartupError) as caught:
        read_settings(**options)
    assert words in str(caught.value)
