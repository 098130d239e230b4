"""The list of runs, on both databases: what a filter finds, and paging while runs are added and deleted."""

import base64
import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as some
from sqlalchemy import Engine, delete, update
from sqlmodel import col

from rankscope.contract.errors import BadInput
from rankscope.contract.stored import MetricSummary
from rankscope.contract.tables import Run
from rankscope.store.database.engine import reading, writing
from rankscope.store.history.metric_rows import store_metrics
from rankscope.store.listing import run_list
from rankscope.store.listing.run_list import Filter, Page
from tests.backend.store_setup import claim, queued_run
from tests.wide import wide

SORTS = (
    "created",
    "name",
    "status",
    "method",
    "model",
    "step",
    "live",
    "mean_rank",
    "headline",
    "priority",
    "project",
    "progress",
    "metrics.eval_accuracy.max",
    "config.training.seed",
    # as they were called in earlier versions
    "created_at",
    "accuracy",
)


def read(
    engine: Engine, *, sort: str = "-created_at", limit: int = 100, cursor: str | None = None, **wanted: Any
) -> Page:
    with reading(engine) as session:
        page = run_list.list_runs(session, Filter(**wanted), sort=sort, limit=limit, cursor=cursor)
        for run in page.runs:
            session.expunge(run)
    return page


def ids(engine: Engine, **query: Any) -> list[str]:
    return [run.id for run in read(engine, **query).runs]


def test_list_filters_searches_and_sorts(engine: Engine) -> None:
    a = queued_run(engine, now=1, name="Alpha 100%", tags=["x", "y"])
    b = queued_run(engine, now=2, name="beta", tags=["y"], priority=3)
    c = queued_run(engine, now=3, name="gamma_")
    assert claim(engine) is not None
    assert ids(engine) == [c, b, a]
    assert ids(engine, sort="name") == [a, b, c]
    assert ids(engine, sort="-priority")[0] == b
    assert ids(engine, statuses=["starting"]) == [b]
    assert ids(engine, tags=["y"]) == [b, a]
    assert ids(engine, tags=["x", "y"]) == [a]
    assert ids(engine, methods=["lora"]) == []
    assert ids(engine, search="ALPHA 0%") == [a]
    assert ids(engine, search="_") == [c]
    assert ids(engine, search="beta local:tiny") == [b]
    for wrong in ("notes", "tag", "stepp", "x\0"):
        with pytest.raises(BadInput, match="sort"):
            ids(engine, sort=wrong)


ODD_TAGS = [
    "übung",
    "Übung",
    'say "hi"',
    "back\\slash",
    "100%",
    "_",
    "a_b",
    "emoji 🎈",
    "日本",
    "a,b",
    "[x]",
    "\\u00fc",
    "null",
    "'",
    " x",
]


def test_a_tag_matches_exactly_whatever_letters_it_has(engine: Engine) -> None:
    made = {tag: queued_run(engine, tags=[tag, "every"]) for tag in ODD_TAGS}
    for tag, run_id in made.items():
        assert ids(engine, tags=[tag]) == [run_id], tag
    assert len(ids(engine, tags=["every"])) == len(ODD_TAGS)
    assert ids(engine, tags=["bung"]) == ids(engine, tags=["%"]) == ids(engine, tags=["aXb"]) == []
    assert ids(engine, tags=["every"] * 1500, search="nothing has this") == []


def test_search_treats_wildcards_literally_and_ignores_case_in_every_alphabet(
    engine: Engine, database_kind: str
) -> None:
    names = ["50%_done", "ÜBER den Wolken", "plain"]
    made = {name: queued_run(engine, name=name) for name in names}
    assert ids(engine, search="%_") == [made["50%_done"]]
    assert ids(engine, search="l%n") == []
    assert ids(engine, search="wolken ÜBER") == [made["ÜBER den Wolken"]]
    if database_kind == "sqlite":  # PostgreSQL: by the locale of the database, which is C in these tests
        assert ids(engine, search="über") == [made["ÜBER den Wolken"]]


def test_search_for_too_many_words_is_refused(engine: Engine) -> None:
    with pytest.raises(BadInput, match="at most 20"):
        ids(engine, search=" ".join(str(number) for number in range(21)))


numbers = some.sampled_from([None, 0, 1, 2, 2, 3])
rows = some.fixed_dictionaries(
    {
        "name": some.sampled_from(["a", "B", "b", "ü", "_", "z"]),
        "created_at": some.sampled_from([1.0, 1.1, 0.1 + 0.2, 1e9 + 0.123456]),
        "step": some.integers(0, 3),
        "priority": some.integers(-1, 1),
        "live": numbers,
        "n_modules": numbers,
        "status": some.sampled_from(["queued", "running", "done"]),
        "metrics": some.sampled_from(
            [
                {},
                {"eval_accuracy": {"max": 0.1 + 0.2}},
                {"eval_accuracy": {"max": "NaN"}},
                {"eval_accuracy": {"max": 1}},
            ]
        ),
    }
)
_numbers = count()


def store(engine: Engine, values: dict[str, Any]) -> str:
    run_id = queued_run(engine, run_id=f"r{next(_numbers)}")
    with writing(engine) as session:
        session.execute(update(Run).where(col(Run.id) == run_id).values(**values))
        store_metrics(session, run_id, {}, {name: summary(**own) for name, own in values.get("metrics", {}).items()})
    return run_id


def summary(**values: Any) -> MetricSummary:
    least: Any = values.get("min", values.get("max"))
    most: Any = values.get("max", values.get("min"))
    return {"last": most, "last_step": 1, "min": least, "min_step": 1, "max": most, "max_step": 1}


def walk(engine: Engine, sort: str, limit: int) -> Iterator[list[str]]:
    cursor = None
    while True:
        page = read(engine, sort=sort, limit=limit, cursor=cursor)
        yield [run.id for run in page.runs]
        cursor = page.next_cursor
        if cursor is None:
            return


@pytest.mark.parametrize(("database_kind", "examples"), [("sqlite", 60), ("postgresql", 12), *wide(("postgresql", 60))])
def test_pages_show_every_remaining_run_exactly_once_while_others_change(engine: Engine, examples: int) -> None:
    @given(
        before=some.lists(rows, min_size=1, max_size=12),
        meanwhile=some.lists(rows | some.just("delete"), max_size=6),
        sort=some.sampled_from([*SORTS, *(f"-{name}" for name in SORTS)]),
        limit=some.integers(1, 5),
    )
    @limits(max_examples=examples)
    def check(before: list[dict[str, Any]], meanwhile: list[Any], sort: str, limit: int) -> None:
        with writing(engine) as session:
            session.execute(delete(Run))
        stays = [store(engine, values) for values in before]
        whole = ids(engine, sort=sort)
        assert sorted(whole) == sorted(stays)
        events = iter(meanwhile)
        shown: list[str] = []
        for page in walk(engine, sort, limit):
            shown += page
            match next(events, None):
                case "delete":
                    gone = stays.pop()
                    if not stays:
                        return
                    with writing(engine) as session:
                        session.execute(delete(Run).where(col(Run.id) == gone))
                case dict() as values:
                    store(engine, values)
        assert len(shown) == len(set(shown))
        assert [run_id for run_id in shown if run_id in stays] == [run_id for run_id in whole if run_id in stays]

    check()


def test_runs_without_a_value_come_last_in_both_directions(engine: Engine) -> None:
    low = store(engine, {"metrics": {"eval_accuracy": {"max": 0.5}}, "live": 6, "n_modules": 4})
    high = store(engine, {"metrics": {"eval_accuracy": {"max": 0.75}}, "live": 9, "n_modules": 4})
    none = store(engine, {"metrics": {"eval_accuracy": {"max": "Infinity"}}, "live": 9, "n_modules": 0})
    for sort in ("headline", "accuracy", "mean_rank"):
        assert ids(engine, sort=sort) == [low, high, none]
        assert ids(engine, sort=f"-{sort}") == [high, low, none]


def test_runs_are_sorted_by_the_headline_metric_that_each_has_chosen(engine: Engine) -> None:
    values = {name: {"min": value, "max": value} for name, value in (("eval_accuracy", 0.9), ("eval_mcc", 0.2))}
    usual = store(engine, {"metrics": values})
    chosen = store(engine, {"metrics": values, "headline_metric": "eval_mcc"})
    loss = store(engine, {"metrics": {"eval_loss": {"min": 0.5, "max": 3.0}}, "headline_metric": "eval_loss"})
    other = store(engine, {"metrics": {"eval_pearson": {"min": 0.1, "max": 0.7}}, "task": "regression"})
    assert ids(engine, sort="headline") == [chosen, loss, other, usual]


def forged(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sort", "cursor"),
    [
        ("name", "garbage"),
        ("name", "é"),
        ("name", ""),
        ("name", forged("name", 5, "x")),
        ("name", forged("name", "a\x00", "x")),
        ("name", forged("name", "a", "\x00")),
        ("name", forged("name", "a")),
        ("name", forged("name", "\ud800", "x")),
        ("name", forged("name", "a", "\ud800")),
        ("step", forged("step", float("nan"), "x")),
        ("name", forged("status", "a", "x")),
        ("-name", forged("name", "a", "x")),
        ("step", forged("step", 10**30, "x")),
        ("step", forged("step", 2**31, "x")),
        ("step", forged("step", 0.5, "x")),
        ("accuracy", forged("accuracy", 10**400, "x")),
        ("step", forged("step", -(10**30), "x")),
        ("step", forged("step", True, "x")),
        ("step", forged("step", "1; DROP TABLE run", "x")),
        ("step", forged("step", float("inf"), "x")),
        ("step", forged("step", [], {})),
        ("step", base64.urlsafe_b64encode(b"[" * 2900).decode()),
        ("step", base64.urlsafe_b64encode(b'["step",' + b"9" * 2800 + b',"x"]').decode()),
        ("name", "A" * 5000),
    ],
)
def test_cursor_that_this_api_did_not_issue_is_refused(engine: Engine, sort: str, cursor: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(engine, sort=sort, cursor=cursor)
    assert refused.value.problems[0].field == "cursor"


@pytest.mark.parametrize("sort", SORTS)
def test_cursor_with_any_value_of_the_right_kind_is_answered(engine: Engine, sort: str) -> None:
    queued_run(engine)
    of_kind: dict[type, tuple[Any, ...]] = {int: (2**31 - 1, -1, 0), float: (0.5, -1e300), str: ("", "ü", "x" * 900)}
    kind = {
        "step": int,
        "live": int,
        "priority": int,
        "created_at": float,
        "mean_rank": float,
        "headline": float,
        "accuracy": float,
        "created": float,
        "progress": float,
        "metrics.eval_accuracy.max": float,
        "config.training.seed": float,
    }
    for key in of_kind[kind.get(sort, str)]:
        for direction in ("", "-"):
            read(engine, sort=direction + sort, cursor=forged(direction + sort, key, "zzz"))
