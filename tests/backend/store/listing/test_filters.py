"""The filter language, on both databases: compared with a naive evaluation of the same condition; and its errors."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text, update
from sqlmodel import col

from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.events import MetricsEvent
from rankscope.contract.tables import Run
from rankscope.store import labels, runs
from rankscope.store.database.engine import reading, writing
from rankscope.store.history import events
from rankscope.store.listing import run_list
from rankscope.store.listing.fields import config_fields, find_field, metric_field, own_fields
from rankscope.store.listing.filter_text import FilterProblem, parse
from rankscope.store.listing.run_list import Filter
from tests.backend.conftest import config_with

NOW = 1_800_000_000.0
RUNS: dict[str, dict[str, Any]] = {
    "a": {"rank": 2, "seed": 0, "tags": ["base", "x y"], "acc": [0.5, 0.9, 0.8], "name": "Alpha 100%", "project": "p"},
    "b": {"rank": 8, "seed": 1, "tags": ["base"], "acc": [0.7], "name": "beta_1", "age_s": 3 * 86_400},
    "c": {"rank": 16, "seed": 1, "tags": [], "acc": [], "name": 'say "hi"', "status": "done", "live": 12},
    "d": {"rank": 4, "seed": 0, "tags": ["it's"], "acc": [float("nan")], "name": "and", "archived": True},
}


@pytest.fixture
def stored(engine: Engine) -> Engine:
    with writing(engine) as session:
        for run_id, of in RUNS.items():
            config = config_with(**{"method.target_rank": of["rank"], "training.seed": of["seed"]})
            created = NOW - of.get("age_s", 100 * 86_400)
            runs.create_run(
                session,
                RunConfig.model_validate(config),
                now=created,
                run_id=run_id,
                name=of["name"],
                tags=of["tags"],
                project=of.get("project", ""),
            )
            batch = [MetricsEvent(step=step, values={"eval_accuracy": value}) for step, value in enumerate(of["acc"])]
            if batch:
                events.append_unfenced(session, run_id, batch, now=created)
            values = {name: of[name] for name in ("status", "live") if name in of}
            if values:
                session.execute(update(Run).where(col(Run.id) == run_id).values(**values))
            labels.change(session, [run_id], {"archived": of.get("archived", False)}, now=NOW)
    return engine


def found(engine: Engine, text: str) -> str:
    with reading(engine) as session:
        page = run_list.list_runs(session, Filter(text=text, now=NOW), sort="id")
        assert page.total == len(page.runs)
        return "".join(run.id for run in page.runs)


CONDITIONS: list[tuple[str, str | None]] = [
    ("", "abc"),
    ("   ", "abc"),
    ("config.method.target_rank <= 8", "ab"),
    ("config.method.target_rank<=8 and archived in (true, false)", "abd"),
    ('config.method.target_rank <= 8 and metrics.eval_accuracy.max > 0.8 and tag = "base"', "a"),
    ("metrics.eval_accuracy.last > 0.75", "a"),
    ("metrics.eval_accuracy = 0.8", "a"),
    ("metrics.eval_accuracy.min < 0.6", "a"),
    ("metrics.eval_accuracy.best >= 0.9 or config.training.seed = 1", "abc"),
    ("metrics.eval_accuracy.best_step = 1", "a"),
    ("metrics.eval_accuracy.at_0 >= 0.5", "ab"),
    ("metrics.eval_accuracy.at_1 = 0.9", "a"),
    ("not metrics.eval_accuracy.at_1 > 0.5", "bc"),
    ("metrics.eval_accuracy.at_0 is null and archived in (true, false)", "cd"),
    ("metrics.eval_accuracy is null", "c"),
    ("metrics.eval_accuracy is null and archived = true", "d"),  # NaN is not a value to compare with
    ("metrics.eval_accuracy is not null", "ab"),
    ("NOT metrics.eval_accuracy.max > 0.8", "bc"),
    ("metrics.eval_accuracy.max != 0.7", "ac"),
    ("headline > 0.6", "ab"),
    ("tag = base and not tag = 'x y'", "b"),
    ("tag != base", "c"),
    ('tag in (nothing, "x y")', "a"),
    ("tag not in (nothing, base)", "c"),
    ("tag is null", "c"),
    ("tag ~ ASE", "ab"),
    ('archived = true and tag = "it\'s"', "d"),
    ("archived = true", "d"),
    ("name ~ 100%", "a"),
    ("name ~ _", "b"),
    ("name !~ B", "ac"),
    ("name = 'say \"hi\"'", "c"),
    ('name = "say \\"hi\\""', "c"),
    ("name = and or name = beta_1", "b"),
    ('name = "and" and archived = true', "d"),
    ("status = done", "c"),
    ("status in (queued, running)", "ab"),
    ("status != done and (config.training.seed = 0 or project is not null)", "a"),
    ("project = p", "a"),
    ("project is null", "bc"),
    ("created >= -7d", "b"),
    ("created < 2026-12-31", "ac"),
    ("created > 2027-01-01T00:00", "b"),
    ("live > 5", "c"),
    ("not live > 5", "ab"),
    ("live is null", "ab"),
    ("mean_rank is null", "abc"),
    ("config.method.compact = true or config.method.compact = false", "abc"),
    ("config.training.learning_rate < 1e-3", "abc"),
    ("config.training.epochs is null", "abc"),
    ("config.data.id = local:reviews", "abc"),
    ("model ~ TINY and data = 'local:reviews'", "abc"),
    ("name = '; DROP TABLE run; --'", ""),
    ("name = ')) OR 1=1 --' or tag = 'x'' OR 1=1'", None),
]


def test_a_filter_finds_the_runs_that_meet_it(stored: Engine) -> None:
    for condition, expected in CONDITIONS:
        if expected is None:
            with pytest.raises(BadInput):
                found(stored, condition)
        else:
            assert found(stored, condition) == expected, condition


def test_every_field_can_be_compared_and_sorted_by_on_both_databases(stored: Engine) -> None:
    for field in [*own_fields().values(), *config_fields().values(), metric_field("eval_accuracy", "at_0")]:
        sample = "true" if field.kind == "boolean" else field.choices[0] if field.choices else "1"
        sample = "2026-01-01" if field.kind == "time" else sample
        condition = f'{field.name} = "{sample}" or {field.name} is null'
        both = set(found(stored, f"archived in (true, false) and ({condition})"))
        other = set(found(stored, f"archived in (true, false) and not ({condition})"))
        assert both | other == set("abcd"), field.name
        assert not both & other, field.name
        if field.is_sortable:
            with reading(stored) as session:
                page = run_list.list_runs(session, Filter(), sort=f"-{field.name}", limit=2)
                rest = run_list.list_runs(session, Filter(), sort=f"-{field.name}", cursor=page.next_cursor)
            assert {run.id for run in [*page.runs, *rest.runs]} == set("abc"), field.name


@pytest.mark.parametrize(
    ("condition", "at", "message", "next_step"),
    [
        ("status = runing", 9, "never 'runing'", "Did you mean running?"),
        ("config.method.target_rnk = 3", 0, "no field", "config.method.target_rank"),
        ("learning_rate > 1", 0, "no field", "config.training.learning_rate"),
        ("tag = a and metrics.eval_acuracy.max > 1", 12, "no run has the metric", "eval_accuracy"),
        ("metrics.eval_accuracy.maxx > 1", 0, "a metric has no 'maxx'", ".max"),
        ("metrics.eval_accuracy.at_02 > 1", 0, "a metric has no 'at_02'", "at_STEP"),
        ("metrics.train_loss.at_2 > 1", 0, "no field 'metrics.train_loss.at_2'", "begin with eval_"),
        ("name ~ foo and", 14, "ends too early", "Expected a field, ( or not."),
        ("name foo", 5, "'foo' is not expected here", "="),
        ("name = a b", 9, "'b' is not expected here", "Expected and, or or the end."),
        ('name = "foo', 7, "quotation mark", 'Add "'),
        ("(name = a", 9, "ends too early", "Expected )."),
        ("!", 0, "'!' is not expected here", "a field"),
        ("archived = maybe", 11, "true or false", "true"),
        ("tag < 3", 4, "needs a number or a time", "!="),
        ("live ~ 3", 5, "looks inside text", "<="),
        ("live = many", 7, "is a number", "0.8"),
        ("created > yesterday", 10, "is not a time", "-7d"),
        ("created > 2026-13-45", 10, "is not a time", "-7d"),
        ("live > 1e999", 7, "is a number", "0.8"),
        ("(" * 500 + "live = 1" + ")" * 500, None, None, None),
        ("not " * 900 + "live = 1", 0, "nested", ""),
        ("tag in (" + ",".join(["a"] * 101) + ")", 0, "value 101", "100"),
        ("x" * 4001, 4000, "4,001 characters", "4,000"),
        ("name = \x00", 0, "can't be stored", ""),
    ],
)
def test_an_invalid_filter_is_refused_with_its_place_and_the_nearest_name(
    condition: str, at: int | None, message: str | None, next_step: str | None
) -> None:
    if at is None or message is None or next_step is None:
        assert parse(condition, now=NOW, metrics=list) is not None
        return
    with pytest.raises(FilterProblem) as refused:
        parse(condition, now=NOW, metrics=lambda: ["eval_accuracy"])
    assert refused.value.start == at
    assert message in refused.value.message
    assert next_step in refused.value.next_step
    assert refused.value.start < refused.value.end


def test_every_example_of_the_documentation_is_valid() -> None:
    page = (Path(__file__).parents[4] / "docs" / "runs-table.md").read_text(encoding="utf-8")
    examples = page.split("```")[1].strip().splitlines()
    assert len(examples) >= 4
    for example in examples:
        assert parse(example, now=NOW, metrics=lambda: ["eval_accuracy", "eval f1/macro"]) is not None
    documented = set(re.findall(r"`([a-z_]+)`", page))
    assert own_fields().keys() <= documented


def test_a_metric_with_any_name_can_be_filtered(stored: Engine) -> None:
    name = "eval f1/macro (é) = 1"
    with writing(stored) as session:
        events.append_unfenced(session, "b", [MetricsEvent(step=1, values={name: 0.5})], now=NOW)
    field = find_field(f'metrics."{name}".max')
    assert field is not None
    assert field.metric == name
    assert found(stored, f"{field.name} = 0.5") == "b"


def test_rows_of_a_deleted_run_are_gone(stored: Engine) -> None:
    with writing(stored) as session:
        for run_id in RUNS:
            runs.delete_run(session, run_id, now=NOW)
    with stored.connect() as connection:
        for name in ("run_tag", "run_metric", "evaluation_point", "config_value"):
            assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() == 0
