"""toy: LoRA with a rank that is always even."""

from __future__ import annotations

from dataclasses import dataclass

from dynamic_rank.methods.plain import AdapterOptions, PlainLora


@dataclass(frozen=True, kw_only=True)
class ToyOptions(AdapterOptions):
    """pairs: half the rank of every module."""

    pairs: int = 2


class Toy(PlainLora):
    """Plain LoRA at twice the pairs."""

    key = "toy"

    def __init__(self, options: ToyOptions) -> None:
        super().__init__(options)
        self.width = 2 * options.pairs
