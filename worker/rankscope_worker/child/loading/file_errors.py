"""Errors of libraries that read a model's files: names the file and the next step."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rankscope.catalog.models.tokenizer_files import TOKENIZER_FILES
from rankscope_worker.child.loading.causes import is_of_the_host, is_panic, name_of, out_of_memory

_FIELD = re.compile(r"(?:for field|of field|Field) '(\w+)'")


class UnusableModel(ValueError):
    """The folder's files can't be used for this run; the message names them and the reason."""


@contextmanager
def blaming(folder: Path, find_files: Callable[[], Sequence[str]]) -> Iterator[None]:
    """Converts an error while the files are read to UnusableModel, unless memory or the host is the cause.

    `find_files` returns the files to name, the likely cause first.
    """
    try:
        yield
    except UnusableModel:
        raise
    except BaseException as error:
        if not (isinstance(error, Exception) or is_panic(error)) or out_of_memory(error) or is_of_the_host(error):
            raise
        files = find_files()
        field = _FIELD.search(str(error))
        what = f"{field[1]} in {files[0]}" if field else " or ".join(files)
        raise UnusableModel(
            f"{what} of {folder.name} is not valid. Copy {' and '.join(files)} from the model again. ({name_of(error)})"
        ) from error


def tokenizer_files(folder: Path) -> tuple[str, ...]:
    """Returns the tokenizer files in the folder, or only tokenizer.json if it can't be read by itself."""
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").is_file():
        try:
            Tokenizer.from_file(str(folder / "tokenizer.json"))
        except BaseException as error:
            if isinstance(error, Exception) or is_panic(error):
                return ("tokenizer.json",)
            raise
    return tuple(name for name in TOKENIZER_FILES if (folder / name).is_file()) or ("tokenizer.json",)
