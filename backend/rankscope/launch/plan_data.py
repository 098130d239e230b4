"""The data of a plan: the resolved configuration of the split, and warnings about it."""

from rankscope.catalog import DatasetEntry
from rankscope.catalog.data.splits import SplitCounts
from rankscope.contract.data.config import DataConfig


def resolved_data(data: DataConfig, dataset: DatasetEntry, counts: SplitCounts) -> DataConfig:
    chosen: dict[str, object] = {"id": dataset.id, "group_column": counts.group_column}
    if counts.parts is not None:
        chosen |= {
            "split_column": counts.parts.column,
            "train_parts": counts.parts.names("train"),
            "eval_parts": counts.parts.names("evaluation"),
        }
    return data.model_copy(update=chosen)


def split_warnings(data: DataConfig, parts: SplitCounts) -> list[str]:
    """Returns sentences about equal texts and groups on both sides."""
    warnings = []
    equal, groups = parts.equal_texts, parts.groups
    if equal.eval_rows:
        by_text = parts.parts is None and len(parts.text_columns) == 1
        group = f", or set data.group_column to {parts.text_columns[0]!r}" if by_text else ""
        warnings.append(
            f"{equal.eval_rows:,} of {parts.eval_rows:,} evaluation rows ({equal.eval_rows / parts.eval_rows:.1%}) have the "
            "same text as a training row, so the evaluation will look better than it is. Turn on data.drop_equal_texts "
            f"to leave those training rows out{group}."
        )
    if groups is not None and groups.both:
        warnings.append(
            f"{groups.both:,} of {groups.evaluation:,} groups by {parts.group_column!r} have rows on both sides, because "
            "the data set's parts decide. Set data.split to share to keep groups together."
        )
    if data.drop_equal_texts and parts.parts is None and parts.groups is None:
        warnings.append(
            "drop_equal_texts has no effect: without a group column, equal texts are always on the same side."
        )
    return warnings
