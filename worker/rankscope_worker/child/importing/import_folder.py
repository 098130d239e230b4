"""Imports the files of a folder in datasets/ as the next version of a data set, completely or not at all."""

import shutil
from collections.abc import Callable

from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.imported.data_folders import read_folder
from rankscope.catalog.imported.folders import Folders
from rankscope.catalog.imported.uploads import read_upload
from rankscope.contract.imports import ImportResult
from rankscope_worker.child.importing.import_parts import Part, import_parts

_WORK = "work"


def import_folder(folders: Folders, upload_id: str, report: Callable[[float], None]) -> ImportResult:
    """Imports the folder and removes the upload. Raises BrokenFile, and then leaves nothing but the upload."""
    home = folders.upload(upload_id)
    upload = read_upload(home)
    name = upload.folder or ""
    folder = read_folder(folders.datasets, name)
    if folder is None:
        raise BrokenFile(f"There is no folder {name!r} with data in datasets/.", "Restore it, then try again.")
    root, work = folders.datasets / name, home / _WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    parts = [Part(file, file.relative_to(root).as_posix()[-200:], folder.split_of(file, root)) for file in folder.files]
    try:
        result = import_parts(
            folders,
            parts,
            set_id=upload.set_id,
            name=upload.name,
            origin=None,
            work=work,
            report=report,
            options=upload.options,
        )
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(home, ignore_errors=True)
    return result
