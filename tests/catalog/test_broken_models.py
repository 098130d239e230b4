"""An unusable model is listed with its reason and next step, and does not affect any other."""

import json
import os
import shutil
import socket
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rankscope.app import create_app
from rankscope.catalog import Catalog
from rankscope.catalog.models.models import Models
from rankscope.contract.errors import BadInput, UnknownName
from rankscope.settings import Settings
from tests.model_folders import CONFIG, DAMAGES, SHAPES, WORDS, make_folder, weights
from tests.stack import TOKEN
from tests.tiny import make_reviews
from tests.wide import wide


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A models folder with one good model."""
    make_folder(tmp_path / "models" / "good")
    return tmp_path / "models"


def run_with(model: str) -> dict[str, Any]:
    return {
        "config": {
            "model": {"id": model},
            "data": {"id": "local:reviews.csv"},
            "method": {"name": "lora", "rank": 2},
            "training": {"max_steps": 5},
        }
    }


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, TestClient]]:
    """The real application on a models folder with one good model."""
    folder = tmp_path_factory.mktemp("installation")
    make_folder(folder / "models" / "good")
    make_reviews(folder / "datasets" / "reviews.csv")
    settings = Settings(_env_file=None, data_dir=folder, broker_url="redis://127.0.0.1:1/0", token=TOKEN)
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield folder / "models", client


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_model_is_listed_with_its_reason_and_the_good_one_validates(
    installation: tuple[Path, TestClient], damage: str
) -> None:
    models_dir, api = installation
    spoil, word = DAMAGES[damage]
    spoil(make_folder(models_dir / "bad"))
    try:
        listed = api.get("/api/v1/models")
        assert listed.status_code == 200
        models = {model["id"]: model for model in listed.json()["items"]}
        assert models["local:good"]["problem"] is None
        assert word in models["local:bad"]["problem"]
        assert len(models["local:bad"]["problem"]) < 400
        assert models["local:bad"]["next_step"]
        refused = api.post("/api/v1/runs/validate", json=run_with("local:bad")).json()
        (problem,) = refused["problems"]
        assert problem["field"] == "config.model.id"
        assert models["local:bad"]["problem"] in problem["message"]
        assert problem["next_step"] == models["local:bad"]["next_step"]
        accepted = api.post("/api/v1/runs/validate", json=run_with("local:good")).json()
        assert accepted["problems"] == []
    finally:
        shutil.rmtree(models_dir / "bad")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("loose.safetensors", "a folder"),
        ("model.gguf", "GGUF"),
        ("pytorch_model.bin", "pickle"),
        ("model.onnx", "ONNX"),
        ("model.tar.gz", "archive"),
        ("config.json", "a folder"),
    ],
)
def test_file_that_looks_like_a_model_is_listed_with_its_reason(models_dir: Path, name: str, word: str) -> None:
    (models_dir / name).write_bytes(b"x")
    entry = next(entry for entry in Models(models_dir).all() if entry.id == f"local:{name}")
    assert word in (entry.problem or "")
    assert entry.next_step


def test_entry_that_is_not_a_model_is_ignored(models_dir: Path) -> None:
    make_folder(models_dir / ".hidden")
    (models_dir / "README.md").write_text("hello")
    (models_dir / ".DS_Store").write_bytes(b"x")
    ids = {entry.id for entry in Models(models_dir).all()}
    assert ids <= {"minilm", "local:good"}
    with pytest.raises(UnknownName):
        Models(models_dir).find("local:.hidden", "config.model.id")


@pytest.mark.parametrize(
    "name",
    [b"bytes-\xff\xfe", b"two\nlines", b"bell\x07", "separator\u2028".encode(), b"n" * 250, "\u202eabc".encode()],
)
def test_folder_with_an_unusual_name_is_listed_with_a_next_step(models_dir: Path, name: bytes) -> None:
    shutil.copytree(models_dir / "good", os.path.join(os.fsencode(models_dir), name).decode("utf-8", "surrogateescape"))
    entries = [entry for entry in Models(models_dir).all() if entry.id not in ("minilm", "local:good")]
    (entry,) = entries
    assert entry.problem
    assert entry.next_step
    assert all(character.isprintable() for character in entry.id + entry.name + entry.problem)
    json.dumps([entry.id, entry.name], ensure_ascii=False).encode("utf-8")


def test_pipe_socket_and_dangling_link_in_the_models_folder_are_listed(models_dir: Path) -> None:
    os.mkfifo(models_dir / "pipe")
    (models_dir / "link").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(models_dir / "socket"))
        problems = {entry.id: entry.problem for entry in Models(models_dir).all()}
    assert "pipe" in (problems["local:pipe"] or "")
    assert "broken link" in (problems["local:link"] or "")
    assert "socket" in (problems["local:socket"] or "")
    assert problems["local:good"] is None


def test_link_to_a_model_folder_elsewhere_is_a_model(models_dir: Path, tmp_path: Path) -> None:
    """The same holds if its files are links, as in a download cache."""
    make_folder(tmp_path / "elsewhere")
    (models_dir / "linked").symlink_to(tmp_path / "elsewhere")
    cached = models_dir / "cached"
    cached.mkdir()
    for name in ("config.json", "vocab.txt", "model.safetensors"):
        (cached / name).symlink_to(tmp_path / "elsewhere" / name)
    for model in ("local:linked", "local:cached"):
        assert Models(models_dir).find(model, "config.model.id").problem is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folder_is_listed_and_usable_once_it_is_readable(models_dir: Path) -> None:
    bad = make_folder(models_dir / "bad")
    models = Models(models_dir)
    bad.chmod(0)
    try:
        with pytest.raises(BadInput, match="Permission denied"):
            models.find("local:bad", "config.model.id")
    finally:
        bad.chmod(0o755)
    assert models.find("local:bad", "config.model.id").problem is None


@pytest.mark.parametrize(
    "wanted",
    ["local:", "local:.", "local:..", "local:../models/good", "local:good/", "local:a\0b", "local:\ud800", "good", ""],
)
def test_id_that_is_not_a_folder_name_is_unknown(models_dir: Path, wanted: str) -> None:
    with pytest.raises(UnknownName):
        Models(models_dir).find(wanted, "config.model.id")


def test_long_id_is_unknown_and_shortened_in_the_sentence(models_dir: Path) -> None:
    with pytest.raises(UnknownName) as error:
        Models(models_dir).find("local:" + "x" * 10_000, "config.model.id")
    assert len(str(error.value)) < 200


def test_model_is_looked_up_without_reading_any_other(models_dir: Path) -> None:
    """Reading a pipe would block, and a folder with another name is never opened."""
    os.mkfifo(make_folder(models_dir / "bad") / "tokenizer.json")
    opened: list[str] = []

    class Seen(Models):
        def _read(self, model_id: str, folder: Path, **options: Any) -> Any:
            opened.append(model_id)
            return super()._read(model_id, folder, **options)

    Seen(models_dir).find("local:good", "config.model.id")
    assert opened == ["local:good"]


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json"])
def test_large_vocabulary_is_checked_when_the_model_is_used_but_not_to_list_it(models_dir: Path, name: str) -> None:
    folder = make_folder(models_dir / "large")
    (folder / "vocab.txt").unlink()
    (folder / "merges.txt").write_text("")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    (folder / name).write_text("{" + " " * (1 << 21))  # not JSON
    models = Models(models_dir)

    def listed() -> str | None:
        return next(entry.problem for entry in models.all() if entry.id == "local:large")

    assert listed() is None
    for _ in range(2):
        with pytest.raises(BadInput, match=name):
            models.find("local:large", "config.model.id")
        assert name in (listed() or "")
    (folder / name).write_text("{")
    assert name in next(entry.problem or "" for entry in Models(models_dir).all() if entry.id == "local:large")


def test_more_models_than_are_listed_say_so_and_can_still_be_used(tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    for number in range(1002):
        (models_dir / f"m{number:04}").mkdir(parents=True)
    make_folder(models_dir / "zz")
    entries = Models(models_dir).all()
    assert len(entries) <= 1002
    assert "not listed" in (entries[-1].problem or "")
    assert Models(models_dir).find("local:zz", "config.model.id").problem is None


def test_change_of_a_file_is_detected_even_if_its_mtime_is_restored(models_dir: Path) -> None:
    models = Models(models_dir)
    path = models_dir / "good" / "config.json"
    assert models.find("local:good", "config.model.id").problem is None
    before = path.stat()
    text = json.dumps(CONFIG)
    path.write_text(text.replace("bert", "bort"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(BadInput, match="bort"):
        models.find("local:good", "config.model.id")
    path.write_text(text)
    assert models.find("local:good", "config.model.id").problem is None


_FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": weights(),
    "vocab.txt": "\n".join(WORDS).encode(),
    "tokenizer.json": json.dumps({"model": {"vocab": {word: number for number, word in enumerate(WORDS)}}}).encode(),
    "model.safetensors.index.json": json.dumps(
        {"metadata": {}, "weight_map": dict.fromkeys(SHAPES, "model.safetensors")}
    ).encode(),
    "tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer"}',
}
_contents = st.sampled_from(sorted(_FILES)).flatmap(
    lambda name: st.one_of(
        st.binary(max_size=200),
        st.integers(0, len(_FILES[name])).map(lambda end: _FILES[name][:end]),
        st.tuples(st.integers(0, len(_FILES[name]) - 1), st.integers(0, 255)).map(
            lambda at: _FILES[name][: at[0]] + bytes([at[1]]) + _FILES[name][at[0] + 1 :]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=8,
        ).map(lambda value: json.dumps(value).encode()),
        st.tuples(st.sampled_from(sorted(CONFIG)), st.none() | st.integers() | st.text(max_size=3) | st.just([])).map(
            lambda change: json.dumps(CONFIG | {change[0]: change[1]}).encode()
        ),
    ).map(lambda content: (name, content))
)


@pytest.mark.parametrize("examples", [50, *wide(150)])
def test_any_bytes_in_any_file_leave_the_list_and_the_good_model(
    installation: tuple[Path, TestClient], examples: int
) -> None:
    models_dir, api = installation

    @hypothesis_settings(max_examples=examples)
    @given(
        files=st.lists(_contents, min_size=1, max_size=3),
        name=st.text(alphabet=string.printable.replace("/", "") + "\xe9\u202e", min_size=1, max_size=20),
    )
    def check(files: list[tuple[str, bytes]], name: str) -> None:
        with tempfile.TemporaryDirectory(dir=models_dir, prefix="bad") as bad:
            for file, content in {**_FILES, **dict(files)}.items():
                (Path(bad) / file).write_bytes(content)
            odd = models_dir / f"x{name}"
            odd.symlink_to(bad)
            try:
                listed = api.get("/api/v1/models")
                assert listed.status_code == 200
                items = listed.json()["items"]
                assert all(bool(item["problem"]) == bool(item["next_step"]) for item in items)
                assert len({item["id"] for item in items}) == len(items)
                for item in items:
                    verdict = api.post("/api/v1/runs/validate", json=run_with(item["id"]))
                    assert verdict.status_code == 200
                    assert bool(verdict.json()["problems"]) == bool(item["problem"])
            finally:
                odd.unlink()

    check()


def test_catalogue_without_a_models_folder_has_only_the_demo(tmp_path: Path) -> None:
    assert {entry.id for entry in Catalog(Settings(data_dir=tmp_path)).models()} <= {"minilm"}
