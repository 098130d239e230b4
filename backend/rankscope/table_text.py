"""Texts in CSV, Markdown and LaTeX tables."""

from collections.abc import Iterable
from typing import Literal

TableFormat = Literal["csv", "markdown", "latex"]
ENDINGS: dict[TableFormat, str] = {"csv": "csv", "markdown": "md", "latex": "tex"}
MEDIA_TYPES: dict[TableFormat, str] = {"csv": "text/csv", "markdown": "text/markdown", "latex": "application/x-tex"}

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{each: f"\\{each}" for each in "&%$#_{}"},
}


def csv_text(text: str) -> str:
    """A spreadsheet runs a cell that begins like a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def markdown_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def latex_text(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
