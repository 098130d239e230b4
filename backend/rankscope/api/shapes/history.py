"""What the API returns about a run's history: events, series, ranks, ledger, log, checkpoints."""

from typing import Literal

from rankscope.api.shapes.base import Number, Shape
from rankscope.api.shapes.runs import MetricSummary
from rankscope.contract.evaluation.results import ResultsHeader, StoredRow
from rankscope.contract.events import Module


class EventPage(Shape):
    items: list[dict[str, object]]
    """RunEvents with seq, attempt and time, identical to those in the stream (see contract.events)."""
    last_seq: int
    has_more: bool


class MetricNames(Shape):
    items: dict[str, MetricSummary]
    last_seq: int


class Ghost(Shape):
    """What an earlier attempt recorded after the step from which a later one continued."""

    attempt: int
    steps: list[int]
    values: list[Number]


class Series(Shape):
    """One metric over the steps, without the parts of earlier attempts that a resume has replaced."""

    name: str
    steps: list[int]
    values: list[Number]
    times: list[float] | None = None
    """If times=true: when each point was recorded, in seconds since 1970 (UTC)."""
    smoothed: list[Number] | None = None
    """If smooth is above 0: the bias-corrected moving average over all points, including omitted ones."""
    total_points: int
    is_reduced: bool
    """If true, only some points are included, with the minimum and maximum of each bucket. Use points=all for all."""
    ghosts: list[Ghost] = []
    """If ghost=true: the replaced parts of earlier attempts, reduced in the same way."""


class MetricSeries(Series):
    last_seq: int


class SeriesList(Shape):
    items: list[Series]
    last_seq: int


class RankHistory(Shape):
    """Rank and importance of every module over the steps, in columns, with one entry per snapshot.

    `ranks`: base64 of little-endian uint16[snapshots, modules]: live components. `importance_mean` and `importance_max`:
    base64 of little-endian float16[snapshots, modules]: over the live components; NaN if one of their scores is NaN, 0 at
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
    """If true, only an even selection is included, which prefers snapshots at pruning steps and the last one."""
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
    """Before smoothing; NaN in snapshots without raw scores. Null if the run doesn't record them."""
    total_frames: int
    is_reduced: bool
    last_seq: int


class RankFrame(Shape):
    """One rank snapshot; `mask` and `scores` are packed as in contract.events.RanksEvent."""

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
    """If true, only an even selection is included, which prefers frames at pruning steps and the last one."""
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
    """A part of the newest attempt's log file, which ends at a line end."""

    attempt: int
    text: str
    offset: int
    """Byte offset of the text's start."""
    next_offset: int
    """The offset for the next request."""
    size: int


class LogLine(Shape):
    offset: int
    """Byte offset of the line's start."""
    line: str
    """The line, or the part around the match if the line is longer than 2,000 bytes."""


class LogMatches(Shape):
    """Lines of the log that contain the text, in order."""

    attempt: int
    items: list[LogLine]
    next_from: int | None
    """Byte offset at which to continue; null if the entire log was searched."""
    size: int


class CheckpointShape(Shape):
    attempt: int
    """0 for a checkpoint of the run that this one was forked from."""
    step: int
    created_at: float
    size_bytes: int
    is_best: bool
    """Whether it has the best evaluation by `config.training.best_metric`, once the ranks are final."""


class CheckpointList(Shape):
    items: list[CheckpointShape]


class Usage(Shape):
    base_model: str | None
    """The base model for `from_pretrained`: its name on the hub or its folder; null if it is no longer installed."""
    code: str
    """A Python script to run next to the unpacked zip."""
    size_bytes: dict[str, int]
    """Size of the adapter's weights by layout, in bytes; without layouts that are not possible. Empty for a full model."""


class RowValuesPage(Shape):
    """Numbers of each evaluation row, in the order of the data set."""

    step: int
    """The optimizer step of the evaluation."""
    rows: int
    """All evaluation rows."""
    offset: int
    values: dict[str, list[Number]]
    """By metric without `eval_`, the task's main one first; NaN for a row that was not measured."""
    next_offset: int | None
    """Offset of the next page; null after the last one."""


class RunResults(Shape):
    """Predictions for the evaluation rows at the end of a run, by loss."""

    summary: ResultsHeader
    items: list[StoredRow]
    next_offset: int | None
    """Offset of the next page; null after the last one."""
