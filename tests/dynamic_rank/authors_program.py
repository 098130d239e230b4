"""The rules of the authors' program (Mao et al., ACL 2024), from its published behaviour: NumPy, slow, independent of the library.

Each function takes plain arrays and numbers. Computations that the program does in float64 are also in float64 here.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def window_offset(step: int, total_steps: int, start_share: float = 0.15, end_share: float = 0.5) -> tuple[int, int]:
    """(steps since the window began, length of the window), both truncated. Steps start at 1."""
    offset = int(step - total_steps * start_share)
    length = int(total_steps * (1 - start_share - end_share))
    return offset, length


def prunes_at(step: int, total_steps: int, interval: int) -> bool:
    offset, length = window_offset(step, total_steps)
    return 0 <= offset <= length and (offset % interval == 0 or offset == length)


def scores_at(step: int, total_steps: int) -> bool:
    """Whether the importance is still updated, and the regulariser still in the loss, at this step."""
    offset, length = window_offset(step, total_steps)
    return offset <= length


def pruned_count(step: int, total_steps: int, n_components: int, start_rank: int, end_rank: int) -> int:
    """Number of components that the cubic schedule has removed at this step, truncated."""
    offset, length = window_offset(step, total_steps)
    share = (start_rank - end_rank) / start_rank * (offset / length) ** 3
    return int(n_components * share)


def importance(A: Array, B: Array, c: Array, eps: float = 1e-8) -> Array:
    """Norm of each rank-1 matrix over the norm of their sum; A (r, in), B (out, r), c (r,)."""
    whole = B @ (A * c[:, None])
    parts = [np.linalg.norm(np.outer(B[:, i], A[i] * c[i])) for i in range(len(c))]
    shares: Array = np.array(parts) / (np.linalg.norm(whole) + eps)
    return shares


def smoothed(before: Array, now: Array, beta: float = 0.9) -> Array:
    return beta * before + (1 - beta) * now


def kept(ema: Array, count: int) -> npt.NDArray[np.bool_]:
    """Prune every score up to the count-th lowest, and at least the lowest; `ema` (modules, r)."""
    threshold = np.sort(ema, axis=None)[max(count, 1) - 1]
    mask: npt.NDArray[np.bool_] = ema > threshold
    return mask


def regularizer(pairs: Sequence[tuple[Array, Array]], start_rank: int) -> float:
    """Sum of the unbiased variances of the rows of A and the columns of B, over 2 * modules * start_rank."""
    total = sum(A.var(axis=1, ddof=1).sum() + B.var(axis=0, ddof=1).sum() for A, B in pairs)
    return float(total) / (len(pairs) * 2 * start_rank)


def start_bound(fan_in: int) -> float:
    """Kaiming-uniform with a = 0: the bound of the initial values of A (fan_in: in) and B (fan_in: r)."""
    gain = math.sqrt(2 / (1 + 0**2))
    return math.sqrt(3) * gain / math.sqrt(fan_in)


def learning_rate(step: int, total_steps: int, peak: float, warmup_share: float = 0.06) -> float:
    """Learning rate at optimizer step `step` = 1, 2, ...: linear from 0 over a warm-up that is rounded down, then linear to 0."""
    warmup, done = int(total_steps * warmup_share), step - 1
    if done < warmup:
        return peak * done / warmup
    return peak * (total_steps - done) / (total_steps - warmup)
