"""A checkpoint's manifest: what the worker writes into its folder, and a fork reads."""

from typing import NotRequired

from typing_extensions import TypedDict

MANIFEST = "manifest.json"


class BestNote(TypedDict):
    """The best evaluation so far."""

    metric: NotRequired[str]
    """Earlier versions did not write it: such a note counts for no metric."""
    value: float | None
    step: int | None


class Notes(TypedDict, total=False):
    """What the training has to know again when it resumes."""

    best: BestNote
    is_settled: bool
    """Whether the mask was final; earlier versions did not write it."""
    is_evaluation_due: bool
    """Whether the evaluation of this step was interrupted, and a resumed attempt begins with it."""


class ManifestFile(TypedDict):
    sha256: str
    bytes: int


class Manifest(TypedDict):
    format: int
    step: int
    notes: NotRequired[Notes]
    files: dict[str, ManifestFile]
    """By path within the checkpoint's folder."""
    sha256: NotRequired[str]
    """Of the manifest without this."""
