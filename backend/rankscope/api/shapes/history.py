"""What the API gives of what happened in a run: events, series, ranks, ledger, log, checkpoints."""

from typing import Literal

from rankscope.api.shapes.base import Number, Shape
from rankscope.api.shapes.runs import MetricSummary
from rankscope.contract.events import Module


class EventPage(Shape):
    items: list[dict[str, object]]
    """RunEvents with seq, attempt and time (see contract.events; the same objects as in the stream)."""
    last_seq: int
    has_more: bool


class MetricNames(Shape):
    items: dict[str, MetricSummary]
    last_seq: int


class Ghost(Shape):
    """What an older attempt recorded beyond the step from which a later one went on."""

    attempt: int
    steps: list[int]
    values: list[Number]


class Series(Shape):
    """One metric over the steps, without the parts of older attempts that a resume has replaced."""

    name: str
    steps: list[int]
    values: list[Number]
    times: list[float] | None = None
    """With times=true: when each point was recorded, in seconds since 1970 (UTC)."""
    smoothed: list[Number] | None = None
    """With smooth above 0: the bias-corrected moving average over all points, those that are left out too."""
    total_points: int
    is_reduced: bool
    """True: minimum and maximum of each bucket are kept; fetch with points=all for every point."""
    ghosts: list[Ghost] = []
    """With ghost=true: the parts that are left out above, reduced alike."""


class MetricSeries(Series):
    last_seq: int


class SeriesList(Shape):
    items: list[Series]
    last_seq: int


class RankHistory(Shape):
    """Rank and importance of every module over the steps, in columns; one entry a snapshot.

    `ranks`: base64 of little-endian uint16[snapshots, modules]: live components. `importance_mean` and `importance_max`:
    base64 of little-endian float16[snapshots, modules]: over the live components; NaN where one of their scores is, 0 at
    rank 0.
    """

    modules: list[Module]
    width: int
    steps: list[int]
    attempts: list[int]
    budget: list[int]
    live: list[int]
    threshold: list[Number | None]
    pruning: list[bool]
    final: list[bool]
    ranks: str
    importance_mean: str
    importance_max: str
    total_frames: int
    is_reduced: bool
    """True: evenly thinned; all snapshots at pruning steps and the last one are kept first."""
    last_seq: int


class ComponentHistory(Shape):
    """The components of one module over the steps.

    `mask`: base64 of numpy.packbits(bool[snapshots, width], bitorder="little"), flattened: live components. `scores`,
    `raw_scores`: base64 of little-endian float16[snapshots, width].
    """

    module: int
    name: str
    width: int
    steps: list[int]
    attempts: list[int]
    pruning: list[bool]
    mask: str
    scores: str
    raw_scores: str | None
    """Before smoothing; NaN in snapshots without. Null when the run records none."""
    total_frames: int
    is_reduced: bool
    last_seq: int


class RankFrame(Shape):
    """One rank snapshot; `mask` and `scores` packed as in contract.events.RanksEvent."""

    seq: int
    attempt: int
    step: int
    budget: int
    live: int
    threshold: Number | None
    pruning: bool
    final: bool
    mask: str
    scores: str
    raw_scores: str | None


class RankFrames(Shape):
    modules: list[Module]
    width: int
    frames: list[RankFrame]
    total_frames: int
    is_reduced: bool
    """True: evenly thinned; all frames at pruning steps and the last one are kept first."""
    last_seq: int


class LedgerLine(Shape):
    seq: int
    step: int
    change: Literal["pruned", "regrown"]
    module: int
    module_name: str
    component: int
    score: Number
    order: int
    total: int
    threshold: Number
    budget: int


class Ledger(Shape):
    items: list[LedgerLine]
    """The newest 10,000."""
    total: int


class LogPart(Shape):
    """A part of the newest attempt's log file, cut at line ends."""

    attempt: int
    text: str
    offset: int
    """Byte offset of the text's start."""
    next_offset: int
    """Ask with this offset for what comes after."""
    size: int


class LogLine(Shape):
    offset: int
    """Byte offset of the line's start."""
    line: str
    """A line that is longer than 2,000 bytes: the part around the match."""


class LogMatches(Shape):
    """Lines of the log that contain the text, in order."""

    attempt: int
    items: list[LogLine]
    next_from: int | None
    """Go on from this byte for more; null: the whole log was searched."""
    size: int


class CheckpointShape(Shape):
    attempt: int
    """0: taken over from the run that this one was forked from."""
    step: int
    created_at: float
    size_bytes: int
    is_best: bool
    """Of the best evaluation by `config.training.best_metric`, once the ranks are final."""


class CheckpointList(Shape):
    items: list[CheckpointShape]


class Usage(Shape):
    base_model: str | None
    """What `from_pretrained` takes: the base model's name on the hub, or its folder; null when it is no longer here."""
    code: str
    """Python, to run beside the unpacked zip."""
    size_bytes: dict[str, int]
    """Layout -> bytes of the adapter's weights; a layout that is not possible is missing. Empty for a whole model."""
