"""A checkpoint is either complete or absent."""

from functools import partial
from pathlib import Path

import pytest

from rankscope.store.history.events import is_replaced
from rankscope_worker.child.checkpoint import (
    CheckpointFolder,
    DamagedCheckpoint,
    clear,
    find_newest,
    keep,
    keep_only,
    publish,
    read_notes,
    verify,
)


def write(run: Path, attempt: int, step: int) -> Path:
    written = run / f"attempt-{attempt}" / "checkpoints" / ".writing" / f"checkpoint-{step}"
    (written / "sub").mkdir(parents=True)
    (written / "a.bin").write_bytes(bytes(range(200)) * step)
    (written / "sub" / "b.json").write_text("{}")
    path, size = publish(written, run / f"attempt-{attempt}", step)
    assert size == 200 * step + 2
    assert not written.exists()
    return path


def refuse(found: CheckpointFolder, reason: str) -> None:
    pytest.fail(f"{found} was left aside: {reason}")


def test_newest_step_of_all_attempts_is_found(tmp_path: Path) -> None:
    assert find_newest(tmp_path, refuse) is None
    write(tmp_path, 1, 10)
    write(tmp_path, 1, 20)
    write(tmp_path, 2, 15)
    found = find_newest(tmp_path, refuse)
    assert found == CheckpointFolder(tmp_path / "attempt-1" / "checkpoints" / "step-20", 1, 20)


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "no manifest", "half manifest"])
def test_a_damaged_checkpoint_is_passed_over_and_reported(tmp_path: Path, damage: str) -> None:
    older, newer = write(tmp_path, 1, 10), write(tmp_path, 2, 20)
    file, manifest = newer / "a.bin", newer / "manifest.json"
    content = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(content[:-1])
        case "flipped":
            file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        case "missing":
            file.unlink()
        case "no manifest":
            manifest.unlink()
        case "half manifest":
            manifest.write_text(manifest.read_text()[:50])
    with pytest.raises(DamagedCheckpoint):
        verify(newer)
    reported: list[tuple[int, str]] = []
    found = find_newest(tmp_path, lambda checkpoint, why: reported.append((checkpoint.step, why)))
    assert found is not None
    assert found.path == older
    assert [step for step, _ in reported] == [20]
    assert reported[0][1].startswith(("its manifest.json", "a.bin"))


def test_every_flipped_bit_and_every_cut_of_the_manifest_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, 1, 10)
    manifest = path / "manifest.json"
    content = manifest.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            manifest.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            with pytest.raises(DamagedCheckpoint):
                verify(path)
        manifest.write_bytes(content[:place])
        with pytest.raises(DamagedCheckpoint):
            verify(path)
    manifest.write_bytes(content)
    verify(path)


def test_a_complete_checkpoint_under_another_steps_name_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, 1, 10)
    with pytest.raises(DamagedCheckpoint):
        verify(path.rename(path.with_name("step-30")))


def test_a_checkpoint_published_after_the_run_continued_elsewhere_is_ignored(tmp_path: Path) -> None:
    """Attempt 1 was frozen while it wrote step 20; attempt 2 began at 10 and died at 15; then attempt 1 woke up."""
    for attempt, step in ((1, 10), (1, 20), (2, 14)):
        write(tmp_path, attempt, step)
    found = find_newest(tmp_path, refuse, partial(is_replaced, {1: 0, 2: 10, 3: None}))
    assert found is not None
    assert (found.attempt, found.step) == (2, 14)
    (found.path / "a.bin").unlink()
    older = find_newest(tmp_path, lambda _checkpoint, _why: None, partial(is_replaced, {1: 0, 2: 10, 3: None}))
    assert older is not None
    assert (older.attempt, older.step) == (1, 10)


def left(run: Path) -> dict[str, list[str]]:
    return {
        folder.name: sorted(path.name for path in (folder / "checkpoints").iterdir() if path.name != ".writing")
        for folder in sorted(run.iterdir())
    }


def test_only_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 15, 100):
        write(tmp_path, 1, step)
    keep(tmp_path / "attempt-1", 2, best_step=5)
    assert left(tmp_path) == {"attempt-1": ["step-100", "step-15", "step-5"]}
    keep(tmp_path / "attempt-1", 2)
    assert left(tmp_path) == {"attempt-1": ["step-100", "step-15"]}


def test_older_attempts_keep_their_checkpoints_until_the_new_one_has_enough(tmp_path: Path) -> None:
    damaged = write(tmp_path, 1, 20)
    (damaged / "a.bin").unlink()
    for attempt, step in ((1, 10), (1, 12), (2, 14)):
        write(tmp_path, attempt, step)
    keep(tmp_path / "attempt-2", 2, best_step=10)
    assert left(tmp_path) == {"attempt-1": ["step-10", "step-12", "step-20"], "attempt-2": ["step-14"]}
    write(tmp_path, 2, 16)
    # An attempt that was frozen and taken over doesn't touch the newer attempt's files.
    keep(tmp_path / "attempt-1", 3, best_step=10)
    assert left(tmp_path)["attempt-2"] == ["step-14", "step-16"]
    keep(tmp_path / "attempt-2", 2, best_step=10)
    assert left(tmp_path) == {"attempt-1": ["step-10"], "attempt-2": ["step-14", "step-16"]}


def test_a_finished_run_can_keep_only_its_best_checkpoint_or_none(tmp_path: Path) -> None:
    for attempt, step in ((1, 10), (2, 14), (2, 16)):
        write(tmp_path, attempt, step)
    assert keep_only(tmp_path / "attempt-2", best_step=14)
    assert left(tmp_path) == {"attempt-1": [], "attempt-2": ["step-14"]}
    clear(tmp_path / "attempt-2")
    assert left(tmp_path) == {"attempt-1": [], "attempt-2": []}


@pytest.mark.parametrize("best_step", [None, 12])
def test_the_newest_checkpoint_is_kept_if_the_best_is_unknown_or_missing(tmp_path: Path, best_step: int | None) -> None:
    for attempt, step in ((1, 10), (1, 16), (2, 16), (2, 14)):
        write(tmp_path, attempt, step)
    assert not keep_only(tmp_path / "attempt-2", best_step)
    assert left(tmp_path) == {"attempt-1": [], "attempt-2": ["step-16"]}


def test_notes_are_read_back_and_a_checkpoint_without_any_has_none(tmp_path: Path) -> None:
    written = tmp_path / "attempt-1" / "w"
    written.mkdir(parents=True)
    path, _ = publish(written, tmp_path / "attempt-1", 3, {"best": {"step": 2, "value": 0.5}})
    verify(path)
    assert read_notes(path) == {"best": {"step": 2, "value": 0.5}}
    assert read_notes(write(tmp_path, 1, 4)) == {}


def test_publishing_a_step_again_replaces_it(tmp_path: Path) -> None:
    write(tmp_path, 1, 5)
    verify(write(tmp_path, 1, 5))
