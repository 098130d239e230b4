"""Links in the folder of a run: nothing is written or downloaded through them."""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.data_folder import is_plain_file, open_to_append


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def test_a_log_is_never_written_through_a_link(tmp_path: Path) -> None:
    root, secret = tmp_path / "runs", tmp_path / "token"
    secret.write_text("secret")
    (root / "abc" / "attempt-1").mkdir(parents=True)
    (root / "abc" / "attempt-1" / "log.txt").symlink_to(secret)
    (root / "linked").symlink_to(tmp_path)
    for path in (root / "abc" / "attempt-1" / "log.txt", root / "linked" / "token", root / "linked" / "new"):
        with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
            open_to_append(root, path)
        assert not is_plain_file(root, path)
    assert secret.read_text() == "secret"
    assert not (tmp_path / "new").exists()
    with open(open_to_append(root, root / "new" / "attempt-1" / "log.txt"), "ab") as log:
        log.write(b"line\n")
    assert is_plain_file(root, root / "new" / "attempt-1" / "log.txt")


Launch = Callable[..., str]


def test_no_download_leaves_the_runs_folder(api: Any, server: Any, launch: Launch) -> None:
    """A link `log.txt -> ../../../token` once put the token into the bundle."""
    run_id = launch()
    settings = server.settings
    secret = settings.data_dir / "secret"
    secret.write_text("the secret of this place")
    attempt = settings.attempt_dir(run_id, 1)
    attempt.mkdir(parents=True)
    (attempt / "log.txt").symlink_to("../../../secret")
    (attempt / "adapter").symlink_to(settings.data_dir)
    engine = server.app.state.resources.engine
    with engine.execution_options(rankscope_write=True).begin() as connection:
        connection.exec_driver_sql("UPDATE run SET attempt = 1, artifact = 'adapter', status = 'done'")
        connection.exec_driver_sql(
            "INSERT INTO attempt (run_id, number, worker, started_at) VALUES (?, 1, 'w', 1)", (run_id,)
        )
    paths = [
        "log",
        "log?attempt=1",
        "log/search?q=secret",
        "log/download",
        "log/download?attempt=1",
        "bundle",
        "adapter",
        "rank_pattern.json",
        "checkpoints",
        "report.html",
        "",
    ]
    for path in paths:
        answer = api.get(f"/api/v1/runs/{run_id}/{path}".rstrip("/"))
        content = answer.content
        if answer.headers["content-type"] == "application/zip":
            content = b"".join(gunzipped(content))
        assert b"secret of this place" not in content, path
    shutil.rmtree(settings.runs_dir)
    secret.unlink()


def gunzipped(content: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [archive.read(name) for name in archive.namelist()]
