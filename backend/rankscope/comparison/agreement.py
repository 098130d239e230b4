"""Agreement of two allocations of ranks: Spearman's and Kendall's correlation over the modules, for many snapshots.

Ranks are small integers, so both come from the table of how many modules have each pair of ranks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.uint16]
_Counts = npt.NDArray[np.float64]
_MAX_CELLS = 20_000_000


@dataclass(frozen=True)
class Agreement:
    """`spearman`, `kendall` (tau-b) float64 (snapshots,): NaN where one allocation gives every module the same rank."""

    spearman: npt.NDArray[np.float64]
    kendall: npt.NDArray[np.float64]


def agreement(a: Ranks, b: Ranks) -> Agreement:
    """`a`, `b` (snapshots, modules): the ranks of the same modules in two runs."""
    snapshots, modules = a.shape
    if not snapshots or modules < 2:
        return Agreement(np.full(snapshots, np.nan), np.full(snapshots, np.nan))
    wide, high = int(a.max()) + 1, int(b.max()) + 1
    block = max(1, _MAX_CELLS // (wide * high))
    parts = [
        _of_block(a[start : start + block], b[start : start + block], wide, high)
        for start in range(0, snapshots, block)
    ]
    return Agreement(
        np.concatenate([part.spearman for part in parts]), np.concatenate([part.kendall for part in parts])
    )


def _of_block(a: Ranks, b: Ranks, wide: int, high: int) -> Agreement:
    snapshots = len(a)
    cells = (np.arange(snapshots)[:, None] * wide + a) * high + b
    table: _Counts = np.bincount(cells.ravel(), minlength=snapshots * wide * high).astype(float)
    table = table.reshape(snapshots, wide, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Agreement(_spearman(table), _kendall(table))


def _spearman(table: _Counts) -> npt.NDArray[np.float64]:
    """Pearson's correlation of mid-ranks."""
    rows, columns = table.sum(axis=2), table.sum(axis=1)
    x, y = _mid_ranks(rows), _mid_ranks(columns)
    shared = np.einsum("sij,si,sj->s", table, x, y)
    found: npt.NDArray[np.float64] = shared / np.sqrt((rows * x**2).sum(axis=1) * (columns * y**2).sum(axis=1))
    return found


def _mid_ranks(counts: _Counts) -> _Counts:
    """The mean position of the modules with each value (mid-ranks), centred."""
    upto = np.cumsum(counts, axis=1)
    return upto - counts / 2 - upto[:, -1:] / 2


def _kendall(table: _Counts) -> npt.NDArray[np.float64]:
    """tau-b: (concordant - discordant) pairs over the geometric mean of the pairs without ties in one allocation."""
    n = table.sum(axis=(1, 2))
    below = np.cumsum(np.cumsum(table, axis=1), axis=2)
    before = np.zeros_like(table)
    before[:, 1:, 1:] = below[:, :-1, :-1]
    concordant = (table * before).sum(axis=(1, 2))
    rows, columns = table.sum(axis=2), table.sum(axis=1)

    def tied(counts: _Counts) -> npt.NDArray[np.float64]:
        axes = tuple(range(1, counts.ndim))
        found: npt.NDArray[np.float64] = (counts * (counts - 1)).sum(axis=axes) / 2
        return found

    pairs = n * (n - 1) / 2
    in_a, in_b, in_both = tied(rows), tied(columns), tied(table)
    discordant = pairs - concordant - in_a - in_b + in_both
    tau: npt.NDArray[np.float64] = (concordant - discordant) / np.sqrt((pairs - in_a) * (pairs - in_b))
    return tau
