"""Files that would run code if they were unpickled, wherever a file from elsewhere is read."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.data.files import BrokenFile
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.settings import Settings
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.loading.picked_rows import read_split
from rankscope_worker.child.tasks import trained_task
from tests.imports import import_bytes
from tests.tiny import make_tiny_bert


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    """A trap that works, and must not be triggered by the end of the test."""
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()
    sprung.unlink()
    return Trap(sprung)


def test_an_uploaded_pickle_is_not_opened(tmp_path: Path, trap: Trap) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(BrokenFile, match="is a Python pickle"):
            import_bytes(tmp_path, "rows.csv", pickle.dumps(trap, protocol))
    for name, options in (("rows.json", {"format": "json"}), ("rows.parquet", {"format": "parquet"})):
        with pytest.raises(BrokenFile):
            import_bytes(tmp_path, name, pickle.dumps(trap), **options)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_among_the_files_of_a_model_is_not_opened(tmp_path: Path, trap: Trap) -> None:
    folder = make_tiny_bert(tmp_path / "models" / "tiny", layers=1)
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl"):
        (folder / name).write_bytes(pickle.dumps(trap))
    assert Catalog(Settings(data_dir=tmp_path)).model("local:tiny").problem is None
    head = trained_task(DEFAULT_TASK, ["a", "b"]).head()
    load_model(folder, "local:tiny", head, load_tokenizer(folder))
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_in_a_stored_split_is_not_opened(tmp_path: Path, trap: Trap) -> None:
    rows = "text,label\n" + "".join(f"film {n},{n % 2}\n" for n in range(40))
    config = DataConfig(id=import_bytes(tmp_path, "films.csv", rows.encode()))
    entry = Catalog(Settings(data_dir=tmp_path)).dataset(config.id)
    expected = list(read_split(entry, config, DEFAULT_TASK).train)
    stored = next(entry.path.parent.rglob("*.sides"))
    content = io.BytesIO()
    np.savez(content, sides=np.array([trap], dtype=object))
    stored.write_bytes(content.getvalue())
    assert list(read_split(entry, config, DEFAULT_TASK).train) == expected
    assert not (tmp_path / "sprung").exists()
