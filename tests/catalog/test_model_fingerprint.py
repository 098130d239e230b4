"""The fingerprint of a model detects changes that affect results, and compares with those of earlier versions."""

import json
import os
import struct
from hashlib import sha256
from pathlib import Path

import pytest

from rankscope.catalog.models import fingerprint as model_fingerprint
from rankscope.catalog.models.entry import ModelEntry
from rankscope.catalog.models.models import Models
from tests.model_folders import CONFIG, HIDDEN, SHAPES, WORDS, make_folder, weights

WIDE = 4096
BIG = {
    **SHAPES,
    "encoder.layer.0.intermediate.dense.weight": (WIDE, HIDDEN),
    "encoder.layer.0.output.dense.weight": (HIDDEN, WIDE),
}


@pytest.fixture(params=["read whole", "read in samples"])
def folder(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "read in samples":
        monkeypatch.setattr(model_fingerprint, "_FULLY_READ_BYTES", 0)
    return make_folder(tmp_path / "models" / "good", config=CONFIG | {"intermediate_size": WIDE}, shapes=BIG)


def entry(folder: Path) -> ModelEntry:
    return Models(folder.parent).find(f"local:{folder.name}", "config.model.id")


@pytest.mark.parametrize("name", BIG)
def test_other_weights_of_the_same_shape_in_any_one_tensor_are_seen(folder: Path, name: str) -> None:
    """This also holds if the file's time is reset."""
    path, before = folder / "model.safetensors", entry(folder).fingerprint
    stamp = path.stat()
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    begin, end = json.loads(content[8 : 8 + length])[name]["data_offsets"]
    start = 8 + length
    path.write_bytes(content[: start + begin] + b"\x01" * (end - begin) + content[start + end :])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    after = entry(folder)
    assert after.fingerprint != before
    assert not after.has_fingerprint(before)


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "tokenizer_config.json", "added_tokens.json"])
def test_change_of_configuration_or_tokenizer_is_detected(folder: Path, name: str) -> None:
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "added_tokens.json").write_text("{}")
    before = entry(folder).fingerprint
    path = folder / name
    path.write_text(path.read_text().replace("film", "cine") if name == "vocab.txt" else path.read_text() + " ")
    assert not entry(folder).has_fingerprint(before)


def test_other_files_times_and_locations_do_not_change_it(folder: Path) -> None:
    before = entry(folder).fingerprint
    (folder / "README.md").write_text("hello")
    (folder / "optimizer.pt").write_bytes(b"x")
    (folder / "consolidated.safetensors").write_bytes(weights())
    os.utime(folder / "model.safetensors")
    assert entry(folder).has_fingerprint(before)
    moved = folder.rename(folder.with_name("moved"))
    assert entry(moved).fingerprint == before


def test_number_changed_between_the_samples_of_large_weights_is_missed_as_the_docs_say(folder: Path) -> None:
    """A new file time is ignored, too: a copy of a model has new times and is the same model."""
    before = entry(folder).fingerprint
    is_whole = model_fingerprint._FULLY_READ_BYTES > 0
    content = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    begin = 8 + length + json.loads(content[8 : 8 + length])["encoder.layer.0.output.dense.weight"]["data_offsets"][0]
    at = begin + 6000  # after the sample at the start of the tensor, before the one in its middle
    (folder / "model.safetensors").write_bytes(content[:at] + b"\x01" + content[at + 1 :])
    os.utime(folder / "model.safetensors")
    assert entry(folder).has_fingerprint(before) == (not is_whole)


def test_fingerprint_of_an_earlier_version_is_compared_in_its_format(folder: Path) -> None:
    """config.json, and the name, size and header of each weight file."""
    content = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    digest = sha256((folder / "config.json").read_bytes())
    named = ["model.safetensors", len(content), json.loads(content[8 : 8 + length])]
    digest.update(json.dumps(named, sort_keys=True).encode())
    stored = digest.hexdigest()
    assert entry(folder).has_fingerprint(stored)
    (folder / "vocab.txt").write_text("\n".join(WORDS[:-1]))  # which it did not include
    assert entry(folder).has_fingerprint(stored)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    assert not entry(folder).has_fingerprint(stored)


@pytest.mark.parametrize("stored", ["", "v2:", "v3:0", "nonsense"])
def test_value_that_is_not_the_fingerprint_differs(folder: Path, stored: str) -> None:
    assert not entry(folder).has_fingerprint(stored)
