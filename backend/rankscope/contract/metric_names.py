"""Names of metrics that tell of the machine. Two runs of one configuration are equal in all other metrics, to the last bit."""

import re

HOST_MEMORY = "host_memory_bytes"
PROCESS_MEMORY = "process_memory_bytes"
CPU = "cpu_percent"
STEPS_PER_SECOND = "steps_per_second"
SAMPLES_PER_SECOND = "samples_per_second"

_GPU = re.compile(r"gpu\d+_(memory_bytes|utilization_percent)")
_MACHINE = frozenset({HOST_MEMORY, PROCESS_MEMORY, CPU, STEPS_PER_SECOND, SAMPLES_PER_SECOND})


def gpu_memory(index: int) -> str:
    return f"gpu{index}_memory_bytes"


def gpu_utilization(index: int) -> str:
    return f"gpu{index}_utilization_percent"


def is_of_the_machine(name: str) -> bool:
    """Whether a metric depends on the clock or the hardware, so that a resumed run cannot repeat it."""
    return name in _MACHINE or _GPU.fullmatch(name) is not None
