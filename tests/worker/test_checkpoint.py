"""A checkpoint is whole or not there."""

from pathlib import Path

import pytest

from rankscope_worker.checkpoint import CheckpointFolder, DamagedCheckpoint, find_newest, keep_newest, publish, verify


def write(run: Path, attempt: int, step: int) -> Path:
    written = run / f"attempt-{attempt}" / "checkpoints" / ".writing" / f"checkpoint-{step}"
    (written / "sub").mkdir(parents=True)
    (written / "a.bin").write_bytes(bytes(range(200)) * step)
    (written / "sub" / "b.json").write_text("{}")
    path, size = publish(written, run / f"attempt-{attempt}", step)
    assert size == 200 * step + 2
    assert not written.exists()
    return path


def test_newest_step_of_all_attempts_is_found(tmp_path: Path) -> None:
    assert find_newest(tmp_path, pytest.fail) is None
    write(tmp_path, 1, 10)
    write(tmp_path, 1, 20)
    write(tmp_path, 2, 15)
    found = find_newest(tmp_path, pytest.fail)
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


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 100):
        write(tmp_path, 1, step)
    keep_newest(tmp_path / "attempt-1", 2)
    left = sorted(path.name for path in (tmp_path / "attempt-1" / "checkpoints").iterdir())
    assert left == [".writing", "step-10", "step-100"]


def test_publishing_a_step_again_replaces_it(tmp_path: Path) -> None:
    write(tmp_path, 1, 5)
    verify(write(tmp_path, 1, 5))
