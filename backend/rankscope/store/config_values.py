"""The values of a run's configuration as rows, so that lists can filter and sort by them."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from sqlalchemy import delete, insert
from sqlmodel import Session, col

from rankscope.contract.tables import ConfigValue

SETUP = "setup"
"""The path of a hash of the configuration without its seed: equal for runs that differ only in the seed."""
SEED = "training.seed"
_NOT_A_VALUE = frozenset({"steering"})
"""Grows while the run trains, and has no single value."""
_LONGEST_TEXT = 200


def store_config_values(session: Session, run_id: str, config: Mapping[str, object]) -> None:
    """Replaces the rows of this run."""
    session.execute(delete(ConfigValue).where(col(ConfigValue.run_id) == run_id))
    session.execute(insert(ConfigValue), [{"run_id": run_id, **row} for row in _rows(config)])


def _rows(config: Mapping[str, object]) -> Iterator[dict[str, object]]:
    values = {path: value for path, value in _flat(config) if value is not None and path not in _NOT_A_VALUE}
    setup = sorted((path, value) for path, value in values.items() if path != SEED)
    hashed = hashlib.sha256(json.dumps(setup).encode()).hexdigest()[:12]
    for path, value in {**values, SETUP: hashed}.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        number = float(value) if isinstance(value, int | float) and abs(value) < 1e300 else None
        yield {"path": path, "number": number, "text": text.replace("\0", "")[:_LONGEST_TEXT]}


def _flat(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
