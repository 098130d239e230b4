"""Job `import_data`: imports an uploaded file into Parquet, with its profile. Never imports torch."""

import errno
import logging
from collections.abc import Callable

from rankscope.catalog import Catalog
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.imported.folders import Folders, full_id
from rankscope.catalog.imported.uploads import read_upload, write_upload
from rankscope.contract.errors import NotFound
from rankscope.contract.imports import ImportPayload
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope_worker.child.importing.default_split import count_default_split
from rankscope_worker.child.importing.import_file import import_upload
from rankscope_worker.child.importing.import_folder import import_folder
from rankscope_worker.child.loading.causes import name_of, one_line, out_of_memory

_log = logging.getLogger("rankscope.job")
_AGAIN = "Try again. If it fails in the same way, report it with the end of the worker's log."


def run(settings: Settings, payload: Payload, report: Callable[[float], None]) -> Payload:
    """Returns the data set and its new version. The error of an import is also stored with the upload."""
    folders = Folders(settings.data_dir.absolute())
    upload_id = ImportPayload.model_validate(payload).upload_id
    try:
        is_folder = read_upload(folders.upload(upload_id)).folder is not None
        result = (import_folder if is_folder else import_upload)(folders, upload_id, report)
    except NotFound:
        raise
    except Exception as error:
        _store(folders, upload_id, *explain(error))
        raise
    count_default_split(Catalog(settings), full_id(result.set_id, result.version))
    return result.model_dump()


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem and the next step."""
    if isinstance(error, BrokenFile):
        return error.problem, error.next_step
    if out_of_memory(error) is not None:
        return f"The worker's memory ran out: {one_line(error)}", "Free memory on the worker's host, then try again."
    if isinstance(error, FileNotFoundError):
        return "The upload was removed during its import.", "Upload the file again."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk of the data folder is full.", "Free some space, then try again."
    return f"The import failed with an unexpected error: {name_of(error)}", _AGAIN


def _store(folders: Folders, upload_id: str, message: str, next_step: str) -> None:
    folder = folders.upload(upload_id)
    try:
        write_upload(
            folder, read_upload(folder).model_copy(update={"error": {"message": message, "next_step": next_step}})
        )
    except (NotFound, OSError):
        return
