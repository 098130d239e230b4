"""Tokens for display: the text of each, and which of a sequence are cut off."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from transformers import PreTrainedTokenizerBase

_MOST_COMPARED = 4000
_UNPRINTABLE = "\ufffd"
_SPACE = "\u2581"


class TokenTexts:
    """The text of each token id; a space in front of a word belongs to its first token."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}

    def of(self, ids: Iterable[int]) -> list[str]:
        return [self._known[id] if id in self._known else self._known.setdefault(id, self._text(id)) for id in ids]

    def _text(self, id: int) -> str:
        token = str(self._tokenizer.convert_ids_to_tokens(id))
        if _SPACE in token:  # decoding a single one would lose it
            return token.replace(_SPACE, " ")
        text = str(self._tokenizer.decode([id], clean_up_tokenization_spaces=False))
        # A token may be part of a character, which has no text.
        text = token if not text or _UNPRINTABLE in text else text
        # GPT-2's characters for a space and a line break, if the tokenizer's files have no decoder.
        return text.replace("\u0120", " ").replace("\u010a", "\n")


def kept_places(kept: Sequence[int], whole: Sequence[int]) -> list[int] | None:
    """Returns the index in `whole` of each token of `kept`, which lacks some of them; None if they don't match.

    Tokens are cut off in one place, or in two if both texts of a pair are cut.
    """
    start = _common(kept, whole)
    rest_kept, rest = kept[start:], whole[start:]
    end = _common(rest_kept[::-1], rest[::-1])
    middle, around = rest_kept[: len(rest_kept) - end], rest[: len(rest) - end]
    places = list(range(start))
    if middle:
        if len(around) > _MOST_COMPARED:
            return None
        for block in SequenceMatcher(None, middle, around, autojunk=False).get_matching_blocks():
            places += range(start + block.b, start + block.b + block.size)
    places += range(len(whole) - end, len(whole))
    return places if len(places) == len(kept) else None


def ranges(places: Iterable[int]) -> list[tuple[int, int]]:
    """Returns ascending indices as ranges: the first index, and one after the last."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Returns the number of equal tokens at the start."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
