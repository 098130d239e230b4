"""Replay: a fixed computation on a GPU, captured once and then launched as one CUDA graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_WARM_UP = 3
"""Calls before the capture: libraries allocate their workspaces in the first ones."""


class Replay:
    """Calls `function`, which must only launch kernels on one GPU and return nothing.

    The scores of a model are a few dozen small kernels, which take the host longer to launch than the GPU to compute. A
    graph of them is launched at once. It holds addresses, so it is captured again when a tensor of `inputs` has moved,
    and the memory of the intermediate results of `function` stays reserved. If it can't be captured, `function` is
    called directly.
    """

    def __init__(self, function: Callable[[], None], inputs: Sequence[Tensor]) -> None:
        self._function, self._inputs = function, inputs
        device = inputs[0].device
        self._can = device.type == "cuda" and all(tensor.device == device for tensor in inputs)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._addresses: list[int] = []
        self._calls = 0

    @property
    def is_captured(self) -> bool:
        return self._graph is not None

    def release(self) -> None:
        """Free the graph and its memory. It would be captured again by later calls."""
        self._graph, self._addresses = None, []

    def __call__(self) -> None:
        if not self._can or torch.cuda.is_current_stream_capturing():
            self._function()
            return
        addresses = [tensor.data_ptr() for tensor in self._inputs]
        if addresses != self._addresses:
            self._graph, self._addresses, self._calls = None, addresses, 0
        if self._graph is None and self._calls == _WARM_UP:
            self._graph = self._captured()
        self._calls += 1
        if self._graph is None:
            self._function()
        else:
            self._graph.replay()

    def _captured(self) -> torch.cuda.CUDAGraph | None:
        """The graph, which has not been run yet; None if this environment can't capture it."""
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(self._inputs[0].device)
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        try:
            with torch.cuda.stream(stream):
                # Not torch.cuda.graph(), which also collects garbage and empties the cache of the whole process. Other
                # threads (NCCL's, a data loader's) may use the GPU meanwhile.
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    self._function()
                finally:
                    graph.capture_end()
        except RuntimeError:
            self._can = False
            with contextlib.suppress(RuntimeError):
                graph.reset()
            return None
        torch.cuda.current_stream(stream.device).wait_stream(stream)
        return graph
