"""Imports the bundle of a run."""

import asyncio
import secrets
import shutil
import time
from pathlib import Path

from fastapi import APIRouter, Request, Response
from sqlalchemy import Engine
from starlette.requests import ClientDisconnect

from rankscope.api.deps import DoorbellDep, EngineDep, NowDep, SettingsDep
from rankscope.api.guard.access import needs, upload
from rankscope.api.shapes import views
from rankscope.api.shapes.runs import RunDetail
from rankscope.bundles.import_run import import_run
from rankscope.bundles.unpack import MAX_BUNDLE_BYTES, refuse, unpack
from rankscope.contract.errors import ServiceDown, TooLarge
from rankscope.settings import Settings

router = APIRouter(prefix="/runs", tags=["runs"])

_BLOCK = 1 << 20
_MARGIN_BYTES = 256 << 20
_STALE_S = 86_400.0


@router.post(
    "/import",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
@needs("launch", upload(MAX_BUNDLE_BYTES, "application/octet-stream"))
async def import_bundle(
    request: Request,
    response: Response,
    engine: EngineDep,
    settings: SettingsDep,
    doorbell: DoorbellDep,
    now: NowDep,
) -> RunDetail:
    """Imports a run from its bundle, which GET /runs/RUN/bundle returns. Send it as the request's body, up to 2 GB.

    The run keeps its history, logs and result, and its id if that is free. A bundle has no checkpoints. Files that could
    contain code are refused.
    """
    _check_space(request, settings)
    folder = settings.data_dir / "incoming" / secrets.token_hex(8)
    await asyncio.to_thread(_prepare, folder)
    try:
        await _receive(request, folder / "bundle.zip")
        run_id = await asyncio.to_thread(_import, engine, settings, folder, now)
    except OSError as error:
        raise ServiceDown(
            f"The bundle can't be stored: {(error.strerror or str(error)).lower()}.", "Free space in the data folder."
        ) from error
    except ClientDisconnect as error:
        raise refuse("ended too early", "Send the bundle again.") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)
    response.headers["Location"] = f"/api/v1/runs/{run_id}"
    detail = await asyncio.to_thread(views.read_detail, engine, run_id, settings, now=now)
    doorbell.ring(run_id, detail.last_seq)
    return detail


def _import(engine: Engine, settings: Settings, folder: Path, now: float) -> str:
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    unpack(folder / "bundle.zip", unpacked)
    (folder / "bundle.zip").unlink()
    return import_run(engine, settings, unpacked, now=now)


def _prepare(folder: Path) -> None:
    """Creates the folder, and removes what imports before a crash have left."""
    folder.mkdir(parents=True, mode=0o700)
    for other in folder.parent.iterdir():
        if other != folder and time.time() - other.lstat().st_mtime > _STALE_S:
            shutil.rmtree(other, ignore_errors=True)


async def _receive(request: Request, target: Path) -> None:
    pending = bytearray()
    with target.open("xb") as file:
        async for chunk in request.stream():
            pending += chunk
            if len(pending) >= _BLOCK:
                await asyncio.to_thread(file.write, bytes(pending))
                pending.clear()
        await asyncio.to_thread(file.write, bytes(pending))


def _check_space(request: Request, settings: Settings) -> None:
    """Refuses a file that does not fit on the disk before it is sent."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else 0
    free = shutil.disk_usage(settings.data_dir).free
    if size + _MARGIN_BYTES > free:
        raise TooLarge(
            f"The bundle has {size / 1e6:,.0f} MB, and the disk of the data folder has {free / 1e6:,.0f} MB free.",
            "Free some space, then try again.",
        )
