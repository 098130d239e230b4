"""The cause reported for an attempt's exception: memory only if memory really ran out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput, FieldProblem
from rankscope.settings import Settings
from rankscope_worker.child.jobs.predict import explain
from rankscope_worker.child.loading.causes import out_of_memory
from rankscope_worker.child.loading.encoding import UnusableText
from rankscope_worker.child.loading.file_errors import UnusableModel
from rankscope_worker.child.train import _cause
from rankscope_worker.child.training import PermanentError
from rankscope_worker.exit_report import ExitCode
from rankscope_worker.host.endings import classify

TOO_MUCH = 10**14


def caught(action: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as found:  # noqa: PT011  (which one is what the tests below ask)
        action()
    return found.value


MEMORY: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.empty(TOO_MUCH),
    "numpy": lambda: np.empty(TOO_MUCH),
    "python": lambda: bytearray(10 * TOO_MUCH),
}


@pytest.mark.parametrize("what", MEMORY)
def test_each_allocators_message_is_recognised(tmp_path: Path, what: str) -> None:
    error = caught(MEMORY[what])
    assert out_of_memory(error) == "out_of_memory"
    code, note = _cause(error, tmp_path)
    assert (code, note.reason) == (ExitCode.out_of_memory, "out_of_memory")
    assert note.message.startswith("The worker's memory ran out")
    assert explain(error)[0].startswith("The worker's memory ran out")


def test_a_full_gpu_is_reported_as_gpu_memory(tmp_path: Path) -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    code, note = _cause(error, tmp_path)
    assert (code, note.reason) == (ExitCode.out_of_memory, "out_of_gpu_memory")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_error_of_a_real_full_gpu_is_recognised(tmp_path: Path) -> None:
    error = caught(lambda: torch.empty(TOO_MUCH, device="cuda"))
    code, note = _cause(error, tmp_path)
    assert (code, note.reason) == (ExitCode.out_of_memory, "out_of_gpu_memory")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("line 7 says: CUDA out of memory. What a film!"), "error"),
        (RuntimeError("row 'they can't allocate memory' is odd"), "error"),
        (KeyError("MemoryError"), "error"),
        (IndexError("index out of range in self"), "error"),
        (PermanentError("row 3: std::bad_alloc", "bad_data"), "bad_data"),
        (PermanentError("CUDA out of memory is the model's name", "missing_model"), "missing_model"),
        (BadInput([FieldProblem("config.data.id", "x", "is 'CUDA out of memory'")]), "bad_data"),
        (BadInput([FieldProblem("config.model.id", "x", "cannot allocate memory")]), "missing_model"),
    ],
    ids=repr,
)
def test_words_about_memory_in_a_text_are_ignored(tmp_path: Path, error: Exception, reason: str) -> None:
    assert out_of_memory(error) is None
    code, note = _cause(error, tmp_path)
    assert note.reason == reason
    assert code == (ExitCode.error if reason == "error" else ExitCode.bad_input)
    assert note.next_step
    assert "memory" not in note.next_step
    if reason == "error":
        assert note.message.startswith(f"The training failed with an unexpected error: {type(error).__name__}: ")


@pytest.mark.parametrize(
    "error", [UnusableText("Text 1"), UnusableModel("NaN"), KeyError("x"), IndexError("y")], ids=repr
)
def test_a_prediction_never_blames_memory_for_another_error(error: Exception) -> None:
    message, next_step = explain(error)
    assert "memory" not in message + next_step
    assert next_step


def test_a_prediction_without_its_model_names_it_and_is_not_called_unexpected(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    with pytest.raises(BadInput) as gone:
        Catalog(settings).model("local:gone")
    message, next_step = explain(gone.value)
    assert message == "The run's model is 'local:gone', which is not a known model."
    assert next_step == "Restore the model's folder, then try again."
    (settings.models_dir / "empty").mkdir(parents=True)
    with pytest.raises(BadInput) as damaged:
        Catalog(settings).model("local:empty")
    assert explain(damaged.value)[0].endswith("which cannot be used. It is an empty folder.")


def test_a_rust_library_that_aborts_for_memory_is_reported_as_out_of_memory(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    script = (
        "import tokenizers; one = tokenizers.Tokenizer(tokenizers.models.BPE());"
        f"one.enable_padding(length={TOO_MUCH}); one.encode('a')"
    )
    with log.open("wb") as output:
        child = subprocess.run([sys.executable, "-c", script], stdout=output, stderr=subprocess.STDOUT, check=False)
    ending = classify(child.returncode, "none", None, log, {"training": {}}, None)
    assert ending.reason == "out_of_memory", log.read_text()
    log.write_text("Fatal Python error: Aborted\n")
    assert classify(child.returncode, "none", None, log, {"training": {}}, None).reason == "child_killed"
