"""The implementation of scoring that the library is compared with."""

import torch

from dynamic_rank import DynamicRankConfig
from dynamic_rank.adapter.components import RankLayer


class MaterialisingAllocator:
    """Score, smooth and allocate the way the authors' program does: every component as an (out, in) matrix.

    Per module the update (out, in) and the stack of its components (r, out, in), in float32; then one threshold for
    all modules, and c = 0 at or below it.
    """

    def __init__(self, layers: list[RankLayer], config: DynamicRankConfig) -> None:
        self.layers = layers
        self.config = config
        self.ema = [torch.zeros_like(layer.c) for layer in layers]

    @torch.no_grad()
    def step(self, budget: int) -> None:
        beta = self.config.beta
        for row, layer in enumerate(self.layers):
            scaled = layer.A * layer.c.unsqueeze(1)  # (r, in)
            whole = torch.linalg.vector_norm(layer.B @ scaled) + self.config.eps
            stack = torch.einsum("or,ri->roi", layer.B, scaled)  # (r, out, in)
            scores = torch.linalg.vector_norm(stack, dim=(1, 2)) / whole
            self.ema[row] = beta * self.ema[row] + (1 - beta) * scores
        everything = torch.cat(self.ema)
        threshold = torch.kthvalue(everything, max(len(everything) - budget, 1)).values
        for layer, ema in zip(self.layers, self.ema, strict=True):
            layer.c[ema <= threshold] = 0
