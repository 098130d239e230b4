"""Entry of a model, or of a folder that looks like one: its id and the content of its files."""

import os
from dataclasses import dataclass
from pathlib import Path

from rankscope.catalog.models import fingerprint as model_fingerprint
from rankscope.catalog.models.architectures import Architecture
from rankscope.catalog.models.files import ModelFiles, UnusableModel
from rankscope.catalog.models.layers import LinearModule, head_parameters, linear_head_parameters
from rankscope.catalog.models.provenance import HubSource
from rankscope.catalog.models.sizes import ModelSizes
from rankscope.catalog.models.tokenizer_files import has_chat_template
from rankscope.contract.errors import BadInput, FieldProblem

MINILM = "minilm"
_HUB_NAMES = {MINILM: "sentence-transformers/all-MiniLM-L6-v2"}
FROM_FOLDER = "From this installation's models folder."
PREFIX = "local:"
MAX_ID_LENGTH = 200
"""The limit of `config.model.id`."""


@dataclass(frozen=True)
class ModelEntry:
    """A model, or a folder that looks like one: then `problem` is set, and what is unknown is 0, empty or None."""

    id: str
    name: str
    description: str
    folder: Path
    architecture: str = ""
    layers: int | None = None
    parameters: int = 0
    """Of all its files, including the head of another task if there is one."""
    body_parameters: int = 0
    """Without a head: what remains when a new head is added."""
    size_bytes: int = 0
    dtype: str = ""
    """The type of most numbers in its weights, as `BF16`."""
    licence: str | None = None
    hub: HubSource | None = None
    """Where it was downloaded from; None if it was not downloaded by RankScope."""
    modules: tuple[LinearModule, ...] = ()
    outside: tuple[LinearModule, ...] = ()
    """Linear layers outside numbered blocks: adapted only if target_modules names them."""
    context_length: int | None = None
    """Largest number of tokens in one text; None if there is no limit."""
    is_quantised: bool = False
    is_exact: bool = True
    """Whether the files determine which layers a run adapts."""
    is_body_exact: bool = True
    """Whether the files determine how many parameters the body has."""
    is_vocabulary_checked: bool = True
    """Whether the vocabulary was checked. A large one is checked only when a run uses the model."""
    problem: str | None = None
    """Why it can't be used, as a sentence."""
    next_step: str | None = None
    """What to do about the problem."""
    files: ModelFiles | None = None
    weights: tuple[str, ...] = ()
    """Names of the weight files that are loaded."""
    kind: Architecture | None = None
    sizes: tuple[tuple[str, int], ...] = ()
    """The integers of config.json."""
    memory_sizes: ModelSizes | None = None
    """What determines the memory of a training besides its linear layers."""

    @property
    def source(self) -> str:
        """The argument for `from_pretrained`: the model's name on the hub if it is known, otherwise its folder."""
        if self.hub is not None:
            return self.hub.hub_id
        return _HUB_NAMES.get(self.id, str(self.folder.absolute()))

    @property
    def fingerprint(self) -> str:
        """Identifies config, tokenizer and weights; see model_fingerprint. Reads weights that have not been read yet.

        Raises BadInput if the files can no longer be read.
        """
        if self.files is None:
            return ""
        try:
            return model_fingerprint.fingerprint(self.files, self.weights)
        except UnusableModel as error:
            message = f"is {brief(self.id)}, which has just changed. {error.sentence}"
            raise BadInput([FieldProblem("config.model.id", self.id, message, error.next_step)]) from error

    @property
    def has_chat_template(self) -> bool:
        """Whether its tokenizer has a chat template; also true if the files can't be read, which is reported elsewhere."""
        if self.files is None:
            return True
        try:
            return has_chat_template(self.files)
        except UnusableModel:
            return True

    def has_fingerprint(self, stored: str) -> bool:
        """Whether the files have this fingerprint, of the current or an earlier format."""
        try:
            return self.files is not None and model_fingerprint.has_fingerprint(self.files, self.weights, stored)
        except UnusableModel:
            return False

    def head_parameters(self, outputs: int, *, is_linear: bool = False) -> int | None:
        """Returns the number of parameters of a new head with this number of outputs; None if it is unknown.

        `is_linear`: of one linear layer, instead of the kind's classifier.
        """
        if self.kind is None:
            return None
        count = linear_head_parameters if is_linear else head_parameters
        return count(self.kind, dict(self.sizes), outputs)


def unusable(model_id: str, path: Path, why: UnusableModel, size_bytes: int = 0) -> ModelEntry:
    return ModelEntry(
        id=model_id,
        name=printable(path.name),
        description=FROM_FOLDER,
        folder=path,
        size_bytes=size_bytes,
        problem=why.sentence,
        next_step=why.next_step,
    )


def printable(name: str) -> str:
    """Returns the name with control characters and bytes that are not UTF-8 escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def brief(model_id: str) -> str:
    return repr(model_id if len(model_id) <= 80 else f"{model_id[:77]}...")
