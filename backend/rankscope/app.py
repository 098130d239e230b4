"""The web application: its parts, and the order in which they start and stop."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from rankscope import __version__
from rankscope.api.deps import Resources
from rankscope.api.document import complete
from rankscope.api.guard.access import AccessTable
from rankscope.api.guard.auth import AttemptLimit, Gatekeeper, load_or_create_token
from rankscope.api.guard.gate import Gate
from rankscope.api.guard.object_keys import check_object_keys
from rankscope.api.guard.sessions import Sessions
from rankscope.api.page_build import PageBuild
from rankscope.api.routes import (
    bundles,
    catalog,
    compare,
    events,
    exports,
    files,
    health,
    lineage,
    metrics,
    page,
    predictions,
    probes,
    pulse,
    queue,
    ranks,
    runs,
    session,
    steering,
    system,
    workers,
)
from rankscope.api.routes.data import data_folders, datasets, hub_downloads, packages, token_rows, uploads
from rankscope.api.routes.experiments import imports as experiment_imports
from rankscope.api.routes.experiments import launch as experiment_launch
from rankscope.api.routes.experiments import results as experiment_results
from rankscope.api.routes.models import downloads, installed
from rankscope.api.routes.sweeps import launch as sweep_launch
from rankscope.api.routes.sweeps import results as sweep_results
from rankscope.api.routes.table import fields, labels, rows, saved_views, sparklines
from rankscope.api.shapes import problems
from rankscope.api.streaming.doorbell_listener import listen
from rankscope.api.streaming.live import Feeds
from rankscope.catalog import Catalog
from rankscope.driven import driven
from rankscope.experiments.process import AnswerProcesses
from rankscope.launch.driver import TrialDriver
from rankscope.launch.enqueue import Nudger
from rankscope.reaper import Reaper
from rankscope.settings import Settings
from rankscope.store.database.engine import create_engine
from rankscope.store.database.schema import migrate
from rankscope.store.doorbell import Doorbell
from rankscope.store.history.chunks import pack_old_runs

API = "/api/v1"
_TIMEOUT_S = 10.0  # how long a request waits for a data file that has not been read yet
_ROUTERS = (
    session,
    system,
    pulse,
    uploads,
    datasets,
    token_rows,
    catalog,
    downloads,
    hub_downloads,
    packages,
    data_folders,
    installed,
    rows,  # before `runs`: "table" would be the id of a run
    sparklines,
    fields,
    labels,
    saved_views,
    bundles,
    runs,
    lineage,
    steering,
    queue,
    events,
    metrics,
    ranks,
    files,
    exports,
    health,
    predictions,
    probes,
    compare,
    experiment_imports,
    experiment_launch,
    experiment_results,
    sweep_launch,
    sweep_results,
    workers,
)


class App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def create_app(
    settings: Settings, *, static_dir: Path | None = None, extra_routers: Sequence[APIRouter] = ()
) -> FastAPI:
    """Returns the application, which opens nothing before its lifespan starts. `extra_routers` are added below /api/v1."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(running(app))
            except Exception as error:
                app.state.startup_error = error  # `serve` reports it in one sentence
                raise
            yield

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        token = load_or_create_token(settings)
        engine = create_engine(settings.resolved_database_url)
        migrate(engine)
        pack_old_runs(engine)
        feeds = Feeds(engine)
        nudger, doorbell = Nudger(settings.broker_url), Doorbell(settings.broker_url)
        reaper = Reaper(engine, settings, feeds.ring)
        catalog = Catalog(settings, timeout_s=_TIMEOUT_S)
        driver = TrialDriver(engine, settings, nudger, driven(engine, settings, catalog))
        static = static_dir or Path(__file__).parent / "static"
        app.state.resources = Resources(
            settings=settings,
            engine=engine,
            catalog=catalog,
            nudger=nudger,
            doorbell=doorbell,
            feeds=feeds,
            gatekeeper=Gatekeeper(token),
            sessions=Sessions(token, settings.data_dir / "sessions"),
            attempt_limit=AttemptLimit(),
            static_dir=static,
            page_build=PageBuild(static),
            answers=AnswerProcesses(),
            leases=reaper.watch,
        )
        tasks = [
            asyncio.create_task(listen(settings.broker_url, feeds), name="doorbell"),
            asyncio.create_task(reaper.run(), name="reaper"),
            asyncio.create_task(driver.run(), name="trials"),
        ]
        try:
            with _before_shutdown(feeds.close):
                yield
        finally:
            feeds.close()
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            # A query in a thread continues after its task is cancelled. A connection returned after `dispose` would leak.
            await asyncio.get_running_loop().shutdown_default_executor()
            nudger.close()
            doorbell.close()
            engine.dispose()

    app = App(
        title="RankScope",
        version=__version__,
        summary="Launch adaptive-rank fine-tuning runs and watch every module's rank.",
        lifespan=lifespan,
        openapi_url=f"{API}/openapi.json",
        # The default documentation pages load scripts from other sites, which our content security policy forbids.
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        generate_unique_id_function=_operation_id,
        responses=problems.RESPONSES,
    )
    problems.install(app)
    api = APIRouter(prefix=API, dependencies=[Depends(check_object_keys)])
    routers = [*(module.router for module in _ROUTERS), *extra_routers]
    for router in routers:
        api.include_router(router)
    app.include_router(api)
    app.include_router(page.router)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=2)
    access = AccessTable(API, (route for router in routers for route in router.routes))
    app.add_middleware(Gate, allowed_hosts=settings.allowed_hosts, listening_on=settings.host, access=access)
    return app


def _operation_id(route: APIRoute) -> str:
    """Returns the function's name, such as `list_runs`. A test checks that names are unique."""
    return route.name


@contextmanager
def _before_shutdown(end_streams: Callable[[], None]) -> Iterator[None]:
    """Calls `end_streams` when the process receives a signal to stop.

    uvicorn waits for open responses before it ends the lifespan, and a live stream never ends by itself. uvicorn's signal
    handlers are already installed; this one runs before them.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def chained(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end_streams)
        earlier = before[number]
        if callable(earlier):
            earlier(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not in the main thread: the caller ends the streams
            before[number] = signal.signal(number, chained)
    try:
        yield
    finally:
        for changed, handler in before.items():
            if signal.getsignal(changed) is chained:
                signal.signal(changed, handler)
