"""From the configuration of a trial to what its run is created from."""

from collections.abc import Callable

from pydantic import ValidationError
from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput, NotFound
from rankscope.contract.problems import bad_input
from rankscope.launch.plan import make_plan
from rankscope.launch.preflight import stored_estimate
from rankscope.settings import Settings
from rankscope.store.trial_runs import TrialRun


class TrialRefused(Exception):
    """A trial that can't run, now or later; the text says why."""


def trial_run(
    engine: Engine, settings: Settings, catalog: Catalog, config: Callable[[], RunConfig], *, now: float
) -> TrialRun:
    """Checks a configuration against the installation. `config` may raise ValidationError.

    Raises TrialRefused, or another RankScopeError if it may work later, for example while a data file is being read.
    """
    try:
        plan = make_plan(config(), catalog)
    except ValidationError as error:
        raise TrialRefused(str(bad_input(error, prefix="config"))) from error
    except (BadInput, NotFound) as error:
        raise TrialRefused(str(error)) from error
    return TrialRun(
        config=plan.config,
        total_steps=plan.total_steps,
        environment=plan.environment | {"n_modules": plan.n_modules},
        memory_estimate=stored_estimate(engine, plan, now=now, lost_after_s=settings.lease_s),
    )
