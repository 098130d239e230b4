"""A measurement before the launch: runs the training's first steps, and keeps only the numbers."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rankscope.catalog import Catalog
from rankscope.contract.errors import InputsChanged
from rankscope.contract.probes import MOST_STEPS, ProbePayload, ProbeResult
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.launch.preflight import preflight
from rankscope.settings import Settings
from rankscope.store.database.engine import reading
from rankscope_worker.child.inputs import find_inputs
from rankscope_worker.child.jobs import probe
from tests.imports import import_bytes
from tests.worker.child.tasks.installation import install, plan_of

ROWS = [{"text": f"{'a good film ' * (n % 7 + 1)}{n}", "label": "xy"[n % 2]} for n in range(60)]


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
def folder(settings: Settings) -> Path:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return install(settings.data_dir, "bert", ROWS)


def measure(settings: Settings, plan: RunPlan) -> tuple[ProbeResult, list[float]]:
    payload = ProbePayload(
        config=plan.config.model_dump(mode="json"), environment=plan.environment, needs_gpu=False
    ).model_dump(mode="json")
    shares: list[float] = []
    return ProbeResult.model_validate(probe.run(settings, payload, shares.append)), shares


def test_it_measures_steps_and_memory_and_leaves_nothing_but_the_numbers(
    settings: Settings, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_ENOUGH_S", 1e-9)
    plan = plan_of(folder, {"name": "text_classification"}, max_steps=200, eval_every=1, checkpoint_every=1)
    before = {path for path in folder.rglob("*") if not path.name.startswith("rankscope.db")}
    found, shares = measure(settings, plan)
    assert found.steps == 10
    assert found.step_s > 0
    assert found.device == "cpu"
    assert found.longest == {"text": max(len(row["text"]) for row in ROWS)}, (
        "48 rows of 60 are drawn, with a longest one"
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {path for path in folder.rglob("*") if not path.name.startswith("rankscope.db")} == before
    with reading(engine) as session:
        checks = preflight(session, plan, folder, now=1e9, lost_after_s=30)
        other = plan_of(folder, {"name": "text_classification"}, max_steps=200, batch_size=8)
        assert preflight(session, other, folder, now=1e9, lost_after_s=30).time is None
    assert checks.time is not None
    assert checks.time.probe is not None
    assert (checks.time.step_s, checks.time.based_on) == (found.step_s, 0)
    assert checks.time.total_s == pytest.approx(200 * found.step_s)
    assert checks.memory is not None
    assert checks.memory.correction.is_measured


@pytest.mark.parametrize(("steps", "measured"), [(1, 1), (2, 1), (3, 1), (6, 4)])
def test_a_training_of_few_steps_is_measured_to_its_end(
    settings: Settings, engine: Engine, folder: Path, steps: int, measured: int
) -> None:
    method: dict[str, Any] = {"name": "lora", "rank": 2}
    found, _ = measure(settings, plan_of(folder, {"name": "text_classification"}, method, max_steps=steps))
    assert found.steps == measured
    assert found.step_s > 0


def test_whole_steps_of_an_imported_set_are_trained_and_changed_files_are_refused(
    settings: Settings, engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"{row['text']},{row['label']}\n" for row in ROWS)
    set_id = import_bytes(folder, "a.csv", f"text,label\n{lines}".encode())
    config = plan_of(folder, {"name": "text_classification"}, batch_size=20).config
    config = config.model_copy(update={"data": config.data.model_copy(update={"id": set_id})})
    plan = make_plan(config, Catalog(settings))
    monkeypatch.setattr(probe, "_MOST_ROWS", 50)
    few = probe._some_rows(find_inputs(Catalog(settings), plan.config, plan.environment).rows, plan.config)
    assert len(few.train) == 40, "two steps of 20"
    assert [dict(row) for row in few.train] == [row for row in ROWS if row in list(few.train)], (
        "different ones, in order"
    )
    found, _ = measure(settings, plan)
    assert 1 <= found.steps <= MOST_STEPS
    changed = folder / "models" / "tiny" / "config.json"
    changed.write_text(changed.read_text().replace("0.1", "0.2", 1))
    with pytest.raises(InputsChanged) as refused:
        measure(settings, plan)
    assert "measure again" in probe.explain(refused.value)[1]
