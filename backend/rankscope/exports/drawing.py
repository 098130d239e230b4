"""A report's charts as SVG: they need no script, and print well.

The page that contains them defines the colours --ink, --muted, --grid and --empty, so that they follow its theme.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

_MUTED, _GRID = "var(--muted)", "var(--grid)"
# A higher rank is darker. Lightness alone orders the colours, so they work in greyscale and for colour-blind readers.
_SCALE = ((255, 255, 217), (199, 233, 180), (127, 205, 187), (65, 182, 196), (34, 94, 168), (8, 29, 88))
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 12, 12, 34
_CELL_HEIGHT = 22


@dataclass(frozen=True)
class Line:
    """`x` and `y` have equal length; NaN breaks the line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    is_dashed: bool = False


def curves(lines: Sequence[Line], *, x_title: str, width: int = 460, height: int = 220) -> str:
    """Lines on shared axes, or a sentence if there are no finite values."""
    shown = [line for line in lines if np.isfinite(np.asarray(line.y, dtype=float)).any()]
    if not shown:
        return "<p class='none'>No data.</p>"
    x_low, x_high = _span([value for line in shown for value in line.x])
    y_low, y_high = _span([value for line in shown for value in line.y if np.isfinite(value)])
    inner_width, inner_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def at(x: float, y: float) -> str:
        left = _LEFT + inner_width * (x - x_low) / (x_high - x_low)
        top = _TOP + inner_height * (1 - (y - y_low) / (y_high - y_low))
        return f"{left:.1f},{top:.1f}"

    parts = [f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='{escape(_label(shown), quote=True)}'>"]
    for share in (0, 0.25, 0.5, 0.75, 1):
        top = _TOP + inner_height * (1 - share)
        parts.append(f"<line x1='{_LEFT}' x2='{width - _RIGHT}' y1='{top:.1f}' y2='{top:.1f}' stroke='{_GRID}'/>")
        parts.append(_text(_LEFT - 6, top + 3, _number(y_low + share * (y_high - y_low)), "end"))
    for share in (0, 0.5, 1):
        left = _LEFT + inner_width * share
        parts.append(_text(left, height - 18, _number(x_low + share * (x_high - x_low)), "middle"))
    parts.append(_text(_LEFT + inner_width / 2, height - 4, x_title, "middle"))
    for line in shown:
        dash = " stroke-dasharray='5 4'" if line.is_dashed else ""
        for piece in _pieces(line):
            points = " ".join(at(x, y) for x, y in piece)
            parts.append(f"<polyline points='{points}' fill='none' stroke='{line.colour}' stroke-width='1.6'{dash}/>")
    parts.append("</svg>")
    legend = "".join(f"<span><i style='background:{line.colour}'></i>{escape(line.name)}</span>" for line in shown)
    return "".join(parts) + f"<p class='legend'>{legend}</p>"


def heatmap(
    rows: Sequence[str], columns: Sequence[str], cells: npt.NDArray[np.int64], top: int, *, width: int = 940
) -> str:
    """`cells` (rows, columns): live rank, -1 if there is no module. Every cell shows its rank; rank 0 is grey."""
    left, head = 90, 26
    step = (width - left) / max(1, len(columns))
    height = head + _CELL_HEIGHT * len(rows)
    parts = [f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='Rank of each module by layer and kind'>"]
    for column, name in enumerate(columns):
        parts.append(_text(left + step * (column + 0.5), head - 8, name, "middle"))
    for row, name in enumerate(rows):
        y = head + _CELL_HEIGHT * row
        parts.append(_text(left - 8, y + 15, name, "end"))
        for column in range(len(columns)):
            rank = int(cells[row, column])
            if rank < 0:
                continue
            fill, ink = "var(--empty)", "var(--ink)"
            if rank:
                colour = _colour(rank / max(1, top))
                fill, ink = "rgb({},{},{})".format(*colour), _ink_on(colour)
            x = left + step * column
            parts.append(
                f"<rect x='{x + 0.5:.1f}' y='{y + 0.5}' width='{step - 1:.1f}' height='{_CELL_HEIGHT - 1}' fill='{fill}'/>"
            )
            parts.append(_text(x + step / 2, y + 15, str(rank) if rank else "×", "middle", ink))
    return "".join(parts) + "</svg>"


def _pieces(line: Line) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(line.x, line.y, strict=True):
        if np.isfinite(y):
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _label(lines: Sequence[Line]) -> str:
    return ", ".join(line.name for line in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str, colour: str = _MUTED) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{colour}'>{escape(text)}</text>"


def _colour(share: float) -> tuple[int, int, int]:
    place = min(max(share, 0.0), 1.0) * (len(_SCALE) - 1)
    low = min(int(place), len(_SCALE) - 2)
    part = place - low
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(_SCALE[low], _SCALE[low + 1], strict=True))
    return red, green, blue


def _ink_on(colour: tuple[int, int, int]) -> str:
    """Black or white, whichever has the higher contrast."""
    red, green, blue = colour
    return "#1b2733" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"
