"""Checks tokenizer.json with the library that reads it in a training, and names the part that it rejects."""

import json
from collections.abc import Iterator, Mapping
from typing import cast

from rankscope.catalog.models.files import MIB, UnusableModel, json_kind, shown
from rankscope.catalog.models.tokenizer_settings import COPY

_FULLY_READ_BYTES = MIB
"""The vocabulary of a larger file is cut before the library reads it: 100,000 tokens with their merges take half a second."""
_KEPT_WORDS = 300
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_NEUTRAL: Mapping[str, object] = {
    "truncation": None,
    "padding": None,
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
    "added_tokens": [],
    "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
}
"""What each part is replaced with to find out whether it is the cause."""


def check_tokenizer_json(content: Mapping[str, object], size_bytes: int) -> None:
    """Raises UnusableModel, which names the part, if the file can't be loaded or would fail on the first text."""
    _check_added(content)
    _check_template(content.get("post_processor"))
    small = content if size_bytes <= _FULLY_READ_BYTES else _cut(content)
    error = _error_of(small)
    if error is not None:
        culprit = next((part for part in _NEUTRAL if _error_of({**small, part: _NEUTRAL[part]}) is None), None)
        where = f" in {culprit}" if culprit else ""
        raise UnusableModel(f"tokenizer.json is not valid{where} ({error})", COPY)


def _error_of(content: Mapping[str, object]) -> str | None:
    from tokenizers import Tokenizer  # takes 40 ms, and is needed only here

    try:
        Tokenizer.from_str(json.dumps(content))
    except Exception as error:
        return " ".join(str(error).split())[:160]
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a Rust panic is not an Exception
            raise
        return " ".join(str(error).split())[:160]
    return None


def _check_added(content: Mapping[str, object]) -> None:
    added = content.get("added_tokens")
    if not isinstance(added, list):
        raise UnusableModel("tokenizer.json has no added_tokens", COPY)
    for number, token in enumerate(added):
        name = f"added_tokens[{number}]"
        where = f"in {name}" if isinstance(token, dict) else ""
        if not isinstance(token, dict):
            raise UnusableModel(f"tokenizer.json has {json_kind(token)} as {name}", COPY)
        if not (type(token.get("id")) is int and 0 <= token["id"] < 1 << 32):
            raise UnusableModel(f"tokenizer.json has {_told(token, 'id')} {where}, not an integer of 0 or more", COPY)
        if not isinstance(token.get("content"), str):
            raise UnusableModel(f"tokenizer.json has {_told(token, 'content')} {where}, not a string", COPY)
        for flag in _FLAGS:
            if not isinstance(token.get(flag), bool):
                raise UnusableModel(f"tokenizer.json has {_told(token, flag)} {where}, not true or false", COPY)


def _told(token: Mapping[str, object], key: str) -> str:
    if key not in token:
        return f"no {key}"
    value = token[key]
    return f"{key} {repr(value)[:40] if isinstance(value, str | int | float) else json_kind(value)}"


def _check_template(processor: object) -> None:
    """Raises UnusableModel for a template with a special token that it doesn't define: the library panics on the first text."""
    for template in _templates(processor):
        defined = template.get("special_tokens")
        for side in ("single", "pair"):
            pieces = template.get(side)
            for piece in pieces if isinstance(pieces, list) else ():
                special = piece.get("SpecialToken") if isinstance(piece, dict) else None
                name = special.get("id") if isinstance(special, dict) else None
                if isinstance(name, str) and isinstance(defined, dict) and name not in defined:
                    raise UnusableModel(
                        f"tokenizer.json adds {shown(name)!r} to texts (post_processor.{side}), which is not in "
                        "post_processor.special_tokens",
                        COPY,
                    )


def _templates(processor: object) -> Iterator[dict[str, object]]:
    if isinstance(processor, dict):
        if processor.get("type") == "TemplateProcessing":
            yield processor
        inner = processor.get("processors")
        for one in inner if isinstance(inner, list) else ():
            yield from _templates(one)


def _cut(content: Mapping[str, object]) -> dict[str, object]:
    """Returns the content with the start of its vocabulary. Raises UnusableModel for merges in an unknown form."""
    model = cast(dict[str, object], content["model"])
    merges, vocabulary = model.get("merges"), model.get("vocab")
    if isinstance(merges, list):
        for number, merge in enumerate(merges):
            parts = merge.split(" ") if isinstance(merge, str) else merge
            if not (isinstance(parts, list) and len(parts) == 2 and type(parts[0]) is type(parts[1]) is str):
                raise UnusableModel(f"tokenizer.json has merges[{number}] that is not a pair of tokens", COPY)
            if isinstance(vocabulary, dict) and not (parts[0] in vocabulary and parts[1] in vocabulary):
                raise UnusableModel(f"tokenizer.json has merges[{number}] with a token outside its vocabulary", COPY)
    unknown = model.get("unk_id")
    kept = max(_KEPT_WORDS, unknown + 1 if type(unknown) is int else 0)
    cut: object = vocabulary
    if isinstance(vocabulary, list):
        cut = vocabulary[:kept]
    elif isinstance(vocabulary, dict):
        cut = dict(list(vocabulary.items())[:kept])
    return {**content, "model": {**model, "vocab": cut} | ({"merges": []} if isinstance(merges, list) else {})}
