"""What a model sees of individual rows: texts, tokens, which of them have a loss, and what is cut off."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.contract.jobs import JobState

MOST_ROWS = 10
"""Rows of one request."""
SAMPLED_ROWS = 300
"""Rows whose length is counted."""
MOST_TOKENS = 4096
"""Tokens of one sequence that are listed."""
MOST_CUT_TOKENS = 200
"""Of those that are cut off."""
MOST_SEQUENCES = 8
MOST_CHARACTERS = 10_000
"""Of one text."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TokenizePart(_Shape):
    name: str
    rows: int
    side: Literal["train", "evaluation"] | None


class TokenizeParts(_Shape):
    column: str
    all: list[TokenizePart]


class TokenizePayload(_Shape):
    """The payload of a `tokenize_rows` job. What depends on all rows comes from the counted split."""

    config: dict[str, object]
    """Resolved."""
    labels: list[str]
    spellings: dict[str, str]
    parts: TokenizeParts | None
    first: int
    """Number of the first row, from 1."""
    rows: int
    with_lengths: bool
    model_fingerprint: str
    data_fingerprint: str


class TokenSpan(_Shape):
    """Consecutive tokens: the index of the first one, and of the one after the last."""

    start: int
    end: int


class TokenName(TokenSpan):
    name: str


class TokenSequence(_Shape):
    """One sequence of tokens, with those that are cut off."""

    title: str
    """Such as `Input`, `Target` or `Window 2 of 3`."""
    ids: list[int]
    texts: list[str]
    """The text of each token. A space in front belongs to it."""
    cut: list[TokenSpan]
    """Tokens that the model does not see."""
    learned: list[TokenSpan]
    """Tokens with a loss of their own."""
    names: list[TokenName]
    """What tokens are learned as, such as a tag."""
    seen: int
    """Number of tokens that the model sees."""
    n_cut: int
    """Number of tokens that it does not see."""
    n_unlisted: int
    """Number of tokens that are not listed here."""


class GivenText(_Shape):
    """A text exactly as it is given to the tokenizer. A long one is truncated here, and ends with "…"."""

    title: str
    text: str


class TokenRow(_Shape):
    number: int
    """From 1, counting all rows of the data set."""
    line: int
    side: Literal["train", "evaluation"] | None
    """Null: the row is left out."""
    left_out: str | None
    """Why the row is left out."""
    problem: str | None
    """Why a run with this row would fail."""
    texts: list[GivenText]
    target: str | None
    sequences: list[TokenSequence]
    n_unlisted_sequences: int


class TokenLengths(_Shape):
    """Lengths in tokens before anything is cut off, of all rows or of a random sample."""

    rows: int
    """Without those that are left out."""
    of_rows: int
    """All rows of the data set."""
    is_sample: bool
    over: int
    """Number of rows of which something is cut off, or that are read in several windows."""
    median: int
    most_up_to: int
    """95 % of the rows are not longer."""
    longest: int


class TokenRows(_Shape):
    """The result of a `tokenize_rows` job."""

    rows: list[TokenRow]
    lengths: TokenLengths | None
    max_length: int
    """The length in tokens at which a row is cut off: `training.max_length`, or the model's limit if it is lower."""


RowNumber = Annotated[int, Field(ge=1, le=10_000_000_000)]


class TokenRowsAnswer(_Shape):
    id: str
    status: JobState
    result: TokenRows | None = None
    message: str | None = None
    """Why it failed, or what it waits for."""
    next_step: str | None = None
