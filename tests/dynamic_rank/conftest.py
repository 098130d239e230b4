import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.dynamic_rank.naive_equations import Factors
from tests.dynamic_rank.tiny_models import DEVICE

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)


CPU_ONLY = {
    # The same bits after a resume are promised on a CPU: kernels of a GPU may add in another order.
    "saving/test_exact_resume.py": "bit-identity is promised on a CPU",
    "training/test_two_processes.py": "two processes would need two GPUs",
    "training/test_trl.py": "its trainers are told to use the CPU",
    "test_documented_example.py": "the script chooses its device itself",
    "test_operators_of_a_step.py": "counts operators on a CPU",
    "test_gpu_bench.py": "tries the benchmark on a CPU",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            reason = CPU_ONLY.get(item.path.relative_to(here).as_posix())
            if reason is not None and DEVICE != "cpu":
                item.add_marker(pytest.mark.skip(reason=reason))
            # Applied in reverse order. PEFT 0.21 uses a name that transformers 5.23 deprecates.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
            )
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@pytest.fixture
def factors() -> Factors:
    """A (r, in), B (out, r), c (r,) of one module, from a seed."""

    def make(
        out: int = 7, r: int = 3, inp: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64
    ) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        shapes = ((r, inp), (out, r), (r,))
        a, b, c = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes)
        return a, b, c

    return make
