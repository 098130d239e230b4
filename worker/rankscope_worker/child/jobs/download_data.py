"""Job `download_data`: downloads a data set from the hub and imports it as a version. Never imports torch."""

import shutil
from collections.abc import Callable

from rankscope.catalog import Catalog
from rankscope.catalog.data.files import BrokenFile
from rankscope.catalog.imported.folders import Folders, full_id, new_set_id
from rankscope.contract.downloads import DataDownloadPayload, DataDownloadResult
from rankscope.contract.imports import ImportResult, Origin
from rankscope.contract.stored import Payload
from rankscope.settings import Settings
from rankscope_worker.child.hub import access
from rankscope_worker.child.hub.access import open_hub
from rankscope_worker.child.hub.client import HubClient, HubRepository
from rankscope_worker.child.hub.data_files import Subset, chosen_subset
from rankscope_worker.child.hub.files import download, total_bytes
from rankscope_worker.child.hub.unfinished import Share, alone, check_space
from rankscope_worker.child.importing.default_split import count_default_split
from rankscope_worker.child.importing.import_parts import Part, import_parts

_DOWNLOADED = 0.7
_ON_DISK = 3
"""Space that a download and its import need, as a multiple of its size."""


def run(settings: Settings, payload: Payload, report: Callable[[float], None]) -> Payload:
    """Returns the version, which is listed only once it is complete. An existing one is not downloaded again."""
    request = DataDownloadPayload.model_validate(payload)
    catalog = Catalog(settings)
    with open_hub(settings) as hub:
        repository = hub.repository("data set", request.hub_id, request.revision)
        subset = chosen_subset(repository, request.subset)
        origin = Origin(
            hub_id=repository.hub_id,
            commit=repository.commit,
            requested=request.revision,
            subset=subset.name,
            license=repository.license,
        )
        set_id, version = _known(catalog, origin)
        if version is None:
            imported = _install(settings, hub, repository, subset, origin, set_id, report)
            set_id, version = imported.set_id, imported.version
            count_default_split(catalog, full_id(set_id, version))
    return DataDownloadResult(
        dataset_id=full_id(set_id, version), revision=repository.commit, subset=subset.name
    ).model_dump()


def explain(error: Exception) -> tuple[str, str]:
    """Returns the problem and the next step."""
    if isinstance(error, BrokenFile):
        return error.problem, error.next_step
    return access.explain(error)


def _known(catalog: Catalog, origin: Origin) -> tuple[str, int | None]:
    """Returns the data set of this name and subset, or a new one, and the version with this commit if there is one."""
    folders = catalog.imported.folders
    found = None
    for set_id in folders.set_ids():
        for version in folders.versions(set_id):
            try:
                other = catalog.imported.profile(set_id, version).origin
            except BrokenFile:
                continue
            if other is None or (other.hub_id, other.subset) != (origin.hub_id, origin.subset):
                continue
            found = set_id
            if other.commit == origin.commit:
                return set_id, version
    return found or new_set_id(_name(origin)), None


def _name(origin: Origin) -> str:
    name = origin.hub_id.rpartition("/")[2]
    return name if origin.subset in ("default", name) else f"{name} {origin.subset}"


def _install(
    settings: Settings,
    hub: HubClient,
    repository: HubRepository,
    subset: Subset,
    origin: Origin,
    set_id: str,
    report: Callable[[float], None],
) -> ImportResult:
    folders = Folders(settings.data_dir.absolute())
    files = [one.file for one in subset.files]
    size = total_bytes(files)
    with alone(folders.unfinished, repository) as folder:
        check_space(folder, _ON_DISK * size, settings.low_disk)
        share, done = Share(lambda have: report(_DOWNLOADED * have), size), 0
        parts = []
        for one in subset.files:
            # File names of the repository are not used on disk. A file shared with another subset is not downloaded
            # again.
            path = folder / f"{repository.files.index(one.file)}.data"
            download(hub, repository, one.file, path, lambda have, done=done: share.tell(done + have))  # type: ignore[misc]
            done += one.file.size
            parts.append(Part(path, one.file.name[-200:], one.split))
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            result = import_parts(
                folders,
                parts,
                set_id=set_id,
                name=_name(origin),
                origin=origin,
                work=work,
                report=lambda part: report(_DOWNLOADED + (1 - _DOWNLOADED) * part),
            )
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
    return result
