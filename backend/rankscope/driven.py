"""The kinds that the server's driver advances."""

from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.launch.driver import Driven
from rankscope.launch.experiments.advance import advance as advance_experiment
from rankscope.launch.sweeps.advance import advance as advance_sweep
from rankscope.settings import Settings
from rankscope.store.experiments.steps import active as active_experiments
from rankscope.store.sweeps.steps import active as active_sweeps


def driven(engine: Engine, settings: Settings, catalog: Catalog) -> list[Driven]:
    def experiment(one: str, now: float) -> int:
        return advance_experiment(engine, settings, catalog, one, now=now).launched

    def sweep(one: str, now: float) -> int:
        return advance_sweep(engine, settings, catalog, one, now=now)

    return [Driven("Experiment", active_experiments, experiment), Driven("Sweep", active_sweeps, sweep)]
