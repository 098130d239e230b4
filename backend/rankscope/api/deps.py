"""Dependencies of routes: created once in `app.lifespan` and injected through these aliases, never through globals."""

import re
import time
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Depends, Path, Request
from sqlalchemy import Engine

from rankscope.api.guard.auth import AttemptLimit, Gatekeeper
from rankscope.api.guard.sessions import Sessions
from rankscope.api.page_build import PageBuild
from rankscope.api.streaming.live import Feeds
from rankscope.catalog import Catalog
from rankscope.experiments.process import AnswerProcesses
from rankscope.launch.enqueue import Nudger
from rankscope.settings import Settings
from rankscope.store.doorbell import Doorbell
from rankscope.store.lease_watch import LeaseWatch


@dataclass(frozen=True)
class Resources:
    settings: Settings
    engine: Engine
    catalog: Catalog
    nudger: Nudger
    doorbell: Doorbell
    feeds: Feeds
    gatekeeper: Gatekeeper
    sessions: Sessions
    attempt_limit: AttemptLimit
    static_dir: FilePath
    page_build: PageBuild
    answers: AnswerProcesses
    leases: LeaseWatch
    """What the reaper has seen of them; ages use `time.monotonic()`."""


def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


ResourcesDep = Annotated[Resources, Depends(_resources)]


def _settings(resources: ResourcesDep) -> Settings:
    return resources.settings


def _engine(resources: ResourcesDep) -> Engine:
    return resources.engine


def _catalog(resources: ResourcesDep) -> Catalog:
    return resources.catalog


def _nudger(resources: ResourcesDep) -> Nudger:
    return resources.nudger


def _doorbell(resources: ResourcesDep) -> Doorbell:
    return resources.doorbell


def _feeds(resources: ResourcesDep) -> Feeds:
    return resources.feeds


def _answers(resources: ResourcesDep) -> AnswerProcesses:
    return resources.answers


def _now() -> float:
    return time.time()


SettingsDep = Annotated[Settings, Depends(_settings)]
EngineDep = Annotated[Engine, Depends(_engine)]
CatalogDep = Annotated[Catalog, Depends(_catalog)]
NudgerDep = Annotated[Nudger, Depends(_nudger)]
DoorbellDep = Annotated[Doorbell, Depends(_doorbell)]
FeedsDep = Annotated[Feeds, Depends(_feeds)]
AnswersDep = Annotated[AnswerProcesses, Depends(_answers)]
NowDep = Annotated[float, Depends(_now)]
"""Seconds since 1970; a test overrides it."""

RUN_ID = re.compile("^[a-z0-9]{1,16}$")
RunId = Annotated[str, Path(pattern=RUN_ID.pattern, description="The run's id.", examples=["k7wq2m9x"])]
"""Only letters and digits: the id becomes part of a path below the runs folder."""
ExperimentId = Annotated[str, Path(pattern=RUN_ID.pattern, description="The experiment's id.", examples=["x3mq8wka"])]
SweepId = Annotated[str, Path(pattern=RUN_ID.pattern, description="The sweep's id.", examples=["q4hn7ycd"])]
