"""The file with the sign-in token: made once, private, and refused if it can be guessed or is not a file."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rankscope.api.guard.auth import load_or_create_token
from rankscope.contract.errors import StartupError
from rankscope.settings import Settings
from tests.stack import TOKEN


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


def test_token_is_made_once_for_its_owner_alone(settings: Settings) -> None:
    fresh = settings.model_copy(update={"token": ""})
    with ThreadPoolExecutor(8) as pool:
        tokens = {done.result() for done in [pool.submit(load_or_create_token, fresh) for _ in range(8)]}
    (token,) = tokens
    assert len(token) == 32
    assert load_or_create_token(fresh) == token
    assert stat.S_IMODE((settings.data_dir / "token").stat().st_mode) == 0o600
    assert load_or_create_token(settings) == TOKEN
    assert [path.name for path in settings.data_dir.iterdir() if path.name.startswith(".")] == []


NOT_A_TOKEN = [
    b"",
    b" \n",
    b"\x00" * 20,
    b"short",
    b"fifteen-letters",
    "schlüssel-mit-umlaut".encode(),
    b"two words, long enough",
    b"\xff" * 20,
]


@pytest.mark.parametrize("content", NOT_A_TOKEN)
def test_guessable_token_is_refused(settings: Settings, content: bytes) -> None:
    fresh = settings.model_copy(update={"token": ""})
    settings.data_dir.mkdir(exist_ok=True)
    (settings.data_dir / "token").write_bytes(content)
    with pytest.raises(StartupError, match=re.escape(str(settings.data_dir / "token"))):
        load_or_create_token(fresh)
    assert (settings.data_dir / "token").read_bytes() == content
    if text := content.decode("latin-1"):
        with pytest.raises(StartupError, match="RANKSCOPE_TOKEN"):
            load_or_create_token(settings.model_copy(update={"token": text}))


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_token_that_is_not_a_regular_file_is_refused(settings: Settings, tmp_path: Path, kind: str) -> None:
    fresh, path = settings.model_copy(update={"token": ""}), settings.data_dir / "token"
    settings.data_dir.mkdir(exist_ok=True)
    (tmp_path / "elsewhere").write_text("a token of another installation")
    match kind:
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "dangling link":
            path.symlink_to(tmp_path / "nothing")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    with pytest.raises(StartupError, match="token file"):
        load_or_create_token(fresh)
    assert not (tmp_path / "nothing").exists()


def test_token_readable_by_others_is_made_private(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    fresh, path = settings.model_copy(update={"token": ""}), settings.data_dir / "token"
    token = load_or_create_token(fresh)
    path.chmod(0o644)
    assert load_or_create_token(fresh) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "0644" in caplog.text
    assert token not in caplog.text
