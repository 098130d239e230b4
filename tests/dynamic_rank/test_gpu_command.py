"""`make test-gpu` reports that it needs a GPU."""

import pytest
import torch

from scripts.gpu_tests import device_of


def test_the_tests_for_a_gpu_say_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="No CUDA device is available to torch"):
        device_of([])
    assert device_of(["--cpu"]) == "cpu"
