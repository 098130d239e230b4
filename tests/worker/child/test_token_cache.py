"""The token cache returns the same rows as without it, even if its files are damaged."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.imported.encoded import TokenSpace, entry_prefix, tokens_bytes, tokens_folder
from rankscope.contract.data.config import DataConfig
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.launch.plan import RunPlan
from rankscope.settings import Settings
from rankscope_worker.child.loading.encoded_file import DoesNotFit
from rankscope_worker.child.loading.encoded_rows import EncodedRows
from rankscope_worker.child.loading.encoding import TextEncoder
from rankscope_worker.child.loading.model import empty_model, load_tokenizer
from rankscope_worker.child.loading.picked_rows import read_split
from rankscope_worker.child.loading.token_cache import CacheFull, StoredRows, TokenCache
from rankscope_worker.child.tasks import trained_task
from tests.imports import import_bytes
from tests.worker.child.tasks.installation import install, plan_of
from tests.worker.child.tasks.test_tokenize_rows import CASES
from tests.worker.child.test_training import Life

LIMIT = 1 << 30
ROWS: list[dict[str, Any]] = [
    {"input_ids": [[1, 2], [3]], "labels": [0, 1]},
    {"input_ids": [[4] * 5000], "labels": [1]},
]


def encoded(folder: Path, plan: RunPlan, cache: TokenCache | None) -> dict[str, Any]:
    """Encodes the rows of a plan as a new process does. Returns everything that a training can see of the rows."""
    model_folder, config = folder / "models" / "tiny", plan.config
    catalog = Catalog(Settings(_env_file=None, data_dir=folder))
    rows = read_split(catalog.dataset(config.data.id), config.data, config.task)
    task, tokenizer = trained_task(config.task, rows.labels), load_tokenizer(model_folder)
    encoder = TextEncoder(
        tokenizer, empty_model(model_folder, task.head(), tokenizer), config.training.max_length, cache
    )
    found = task.encode(rows, encoder, config.training.max_length)
    saved = folder / "saved"
    shutil.rmtree(saved, ignore_errors=True)
    tokenizer.save_pretrained(str(saved))
    return {
        "train": list(found.train),
        "evaluation": list(found.evaluation),
        "notices": found.notices,
        "tokenizer": {path.name: path.read_bytes() for path in saved.iterdir()},
        # What an evaluation needs, such as prompts and answers.
        "task": {name: value for name, value in vars(task).items() if isinstance(value, list | int)},
    }


def cache_of(folder: Path, limit: int = LIMIT) -> TokenCache:
    return TokenCache(TokenSpace(folder, limit, worth_rows=1), folder / "models" / "tiny")


@pytest.mark.parametrize("case", CASES)
def test_rows_from_the_cache_are_those_of_encoding(tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kind, data, options, chat, max_length = CASES[case]
    folder = install(tmp_path, kind, data, chat_template=chat)
    plan = plan_of(folder, options, {"name": "lora", "rank": 2}, max_length=max_length)
    expected = encoded(folder, plan, None)
    assert encoded(folder, plan, cache_of(folder)) == expected
    assert "kept the tokens" in caplog.text
    assert encoded(folder, plan, cache_of(folder)) == expected
    assert "from the cache" in caplog.text
    shorter = plan_of(folder, options, {"name": "lora", "rank": 2}, max_length=max_length - 4)
    assert encoded(folder, shorter, cache_of(folder)) == encoded(folder, shorter, None)


def test_a_damaged_entry_is_made_again_and_one_of_another_version_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kind, data, options, chat, max_length = next(iter(CASES.values()))
    folder = install(tmp_path, kind, data, chat_template=chat)
    plan = plan_of(folder, options, {"name": "lora", "rank": 2}, max_length=max_length)
    expected = encoded(folder, plan, cache_of(folder))
    (entry,) = tokens_folder(folder).iterdir()
    rows = (entry / "train.arrow").read_bytes()
    for path in sorted(entry.iterdir()):
        before = path.read_bytes()
        for content in (before[:-20], before[:-20] + bytes(20), None):
            path.unlink() if content is None else path.write_bytes(content)
            caplog.clear()
            assert encoded(folder, plan, cache_of(folder)) == expected
            assert "damaged" in caplog.text
            assert (entry / "train.arrow").read_bytes() == rows
    # Valid rows that differ from the encoder's.
    cache = cache_of(folder)
    cache.remove(entry.name)
    written(cache, entry.name)
    assert encoded(folder, plan, cache) == expected
    assert "not those of this version" in caplog.text


def written(cache: TokenCache, key: str, batches: Any = ROWS) -> StoredRows:
    return cache.write(key, {"train": batches, "evaluation": ROWS[:1]}, lambda: ({"texts": 4}, {}))


def keys(folder: Path) -> set[str]:
    return {path.name for path in tokens_folder(folder).iterdir()}


def test_two_processes_may_make_the_same_entry(tmp_path: Path) -> None:
    def meanwhile() -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        written(cache_of(tmp_path), "key")
        yield ROWS[1]

    found = written(cache_of(tmp_path), "key", meanwhile())
    assert keys(tmp_path) == {"key"}
    other = cache_of(tmp_path).find("key")
    assert other is not None
    assert list(found.train) == list(other.train) == list(EncodedRows.of(ROWS))


def test_entries_that_were_not_used_for_longest_make_room(tmp_path: Path) -> None:
    written(cache_of(tmp_path), "a")
    size = tokens_bytes(tmp_path)
    cache = cache_of(tmp_path, int(3.5 * size))
    opened = cache.find("a")
    assert opened is not None
    for age, key in enumerate("cba"):
        written(cache, key)
        os.utime(tokens_folder(tmp_path) / key / "entry.json", (1000 + age, 1000 + age))
    assert cache.find("b") is not None
    written(cache, "d")
    assert keys(tmp_path) == {"a", "b", "d"}
    abandoned = tokens_folder(tmp_path) / ".building-killed"
    abandoned.mkdir()
    os.utime(abandoned, (1000, 1000))
    written(cache, "e")
    assert keys(tmp_path) == {"b", "d", "e"}
    assert list(opened.train) == list(EncodedRows.of(ROWS))


def test_rows_that_have_no_room_are_kept_in_memory_and_leave_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kind, data, options, chat, max_length = next(iter(CASES.values()))
    folder = install(tmp_path, kind, data, chat_template=chat)
    plan = plan_of(folder, options, {"name": "lora", "rank": 2}, max_length=max_length)
    assert encoded(folder, plan, cache_of(folder, limit=100)) == encoded(folder, plan, None)
    assert "can't be kept" in caplog.text
    assert keys(folder) == set()
    for limit, free in ((LIMIT, 1 << 60), (100, 0)):
        with pytest.raises(CacheFull):
            written(TokenCache(TokenSpace(tmp_path, limit, free), tmp_path), "key")
    with pytest.raises(DoesNotFit):
        written(cache_of(tmp_path), "key", [*ROWS, {"input_ids": [[1]], "labels": [0.5]}])
    assert keys(folder) == set()
    assert not cache_of(tmp_path, limit=0).is_worth(10**9)


def test_a_run_that_resumes_with_tokens_from_the_cache_gives_the_same_adapter(
    data_dir: Path, plan: Callable[..., RunPlan], tmp_path: Path
) -> None:
    config = plan("dynamic_rank").config
    whole = Life(data_dir, config, tmp_path / "whole")
    space = TokenSpace(tmp_path, LIMIT, worth_rows=1)
    parts = [
        Life(data_dir, config, tmp_path / "parts", number, stop_at, token_space=space)
        for number, stop_at in ((1, 10), (2, None))
    ]
    assert len(keys(tmp_path)) == 1
    assert (parts[0].metrics() | parts[1].metrics()) == whole.metrics()
    (tensors,) = (whole.folder / "adapter").glob("*.safetensors")
    assert (parts[1].folder / "adapter" / tensors.name).read_bytes() == tensors.read_bytes()


def test_tokens_are_deleted_with_their_data_set(tmp_path: Path) -> None:
    content = "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(50))
    import_bytes(tmp_path, "rows.csv", f"text,label\n{content}".encode())
    catalog = Catalog(Settings(_env_file=None, data_dir=tmp_path))
    (entry,) = catalog.imported.all()
    rows = read_split(entry, DataConfig(id=entry.id), DEFAULT_TASK)
    written(cache_of(tmp_path), f"{entry_prefix(rows.fingerprint)}key")
    written(cache_of(tmp_path), f"{entry_prefix('0' * 64)}key")
    set_id, version = catalog.imported.resolve(entry.id, "")
    catalog.imported.delete(set_id, version)
    assert keys(tmp_path) == {f"{entry_prefix('0' * 64)}key"}
