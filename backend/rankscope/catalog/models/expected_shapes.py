"""Compares the shapes of the weights with the sizes in config.json, from which a run builds the model that loads them."""

from collections.abc import Mapping
from itertools import zip_longest

from rankscope.catalog.models.architectures import Architecture
from rankscope.catalog.models.files import UnusableModel

_BELONG = "Use the config.json that belongs to these weights, or copy the model again."
_HEAD_DIMS = ("head_dim", "attention_head_size")


def check_divisors(config: Mapping[str, object], architecture: Architecture) -> None:
    """Raises UnusableModel for a number of heads that doesn't divide what is split among them."""
    for option in architecture.divisors:
        width_option = next((name for name in _WIDTHS if architecture.has(name)), None)
        width = architecture.size(width_option, config) if width_option else None
        heads = architecture.size(option, config)
        if width and heads and width % heads:
            raise UnusableModel(
                f"config.json has {option} {heads:,}, which does not divide {width_option} {width:,}", _BELONG
            )
    heads, shared = (architecture.size(name, config) for name in ("num_attention_heads", "num_key_value_heads"))
    if architecture.shares_keys and heads and shared and heads % shared:
        raise UnusableModel(
            f"config.json has num_key_value_heads {shared:,}, which does not divide num_attention_heads {heads:,}",
            _BELONG,
        )


_WIDTHS = ("hidden_size", "d_model", "n_embd", "dim", "emb_dim")


class ExpectedShapes:
    """The shapes that the model built from config.json has, by the pattern of a parameter's name."""

    def __init__(self, config: Mapping[str, object], architecture: Architecture) -> None:
        self._terms = architecture.shapes
        self._config = config
        self._architecture = architecture
        self._known: dict[str, int | None] = {}

    def check(self, pattern: str, name: str, shape: tuple[int, ...]) -> None:
        """Raises UnusableModel if the tensor `name` doesn't have the shape of the parameters of this pattern."""
        terms = self._terms.get(pattern)
        if terms is None:
            return
        wanted = [self._size(term) for term in terms]
        if len(wanted) == len(shape) and all(size in (None, found) for size, found in zip(wanted, shape, strict=True)):
            return
        culprits = [
            term
            for term, size, found in zip_longest(terms, wanted, shape)
            if term is not None and size is not None and size != found
        ]
        why = " and ".join(dict.fromkeys(self._explained(term) for term in culprits)) or f"{len(wanted)} dimensions"
        raise UnusableModel(
            f"has tensor {name} of shape {_shape(shape)}, but config.json has {why}"
            f"{'' if not culprits else ', so it would be ' + _shape(wanted)}",
            _BELONG,
        )

    def _size(self, term: str) -> int | None:
        """Returns the size of a term, as `3*n_embd`; None if an option is unknown."""
        if term not in self._known:
            self._known[term] = self._computed(term)
        return self._known[term]

    def _computed(self, term: str) -> int | None:
        term, _, extra = term.partition("+")
        size = 1
        for factor in term.split("*"):
            value = int(factor) if factor.isdigit() else self._option(factor)
            if value is None:
                return None
            size *= value
        return size + int(extra or 0)

    def _option(self, name: str) -> int | None:
        value = self._architecture.size(name, self._config)
        if name == "num_key_value_heads" and self._config.get(name, 0) is None:
            value = None
        if value is not None:
            return value
        if name == "num_key_value_heads":
            return self._architecture.size("num_attention_heads", self._config)
        if name in _HEAD_DIMS:
            width, heads = (
                self._architecture.size(each, self._config) for each in ("hidden_size", "num_attention_heads")
            )
            return width // heads if width and heads else None
        return None

    def _explained(self, term: str) -> str:
        """Returns the options of a term with their values."""
        names = [factor for factor in term.partition("+")[0].split("*") if not factor.isdigit()]
        named = [f"{name} {value:,}" for name in names if (value := self._option(name)) is not None]
        return " and ".join(named)


def _shape(shape: tuple[int, ...] | list[int | None]) -> str:
    return " x ".join("?" if size is None else f"{size:,}" for size in shape) or "of a single number"
