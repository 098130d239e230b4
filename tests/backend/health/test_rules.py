"""Each health rule of a run, on plain facts: when it reports, what it reports, and when it doesn't."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from dynamic_rank.schedule.window import PruningWindow
from rankscope.contract.methods import (
    AdaLoraMethod,
    AnyMethod,
    ControlMethod,
    DynamicRankMethod,
    LoraMethod,
    SoraMethod,
)
from rankscope.contract.status import RunStatus
from rankscope.health.facts import Facts, Finding, NewestCut, NewestRanks, Pruning, Warned
from rankscope.health.rules import check
from rankscope.health.trends import loss_trend

METHOD = DynamicRankMethod(target_rank=2, initial_rank=3, prune_interval=10)
NAMES = [f"layer.{index}.query" for index in range(4)]


def ranks(step: int, *each: int, scores: list[float] | None = None, final: bool = False) -> NewestRanks:
    some = [0.1 * index for index in range(1, sum(each) + 1)]
    return NewestRanks(step, final, NAMES[: len(each)], each, some if scores is None else scores, width=3)


def facts(**fields: Any) -> Facts:
    """A run of 100 steps that prunes from step 15 to 50, at its best."""
    whole: dict[str, Any] = {
        "status": RunStatus.running,
        "method": METHOD,
        "step": 60,
        "total_steps": 100,
        "window": PruningWindow(15, 50),
        "settled_step": 50,
        "target_rank": 2,
        "pruning_due": Pruning(50, 8),
        "pruned_to": Pruning(50, 8),
        "ranks": ranks(60, 3, 2, 2, 1, final=True),
    }
    return Facts(**{**whole, **fields})


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


def test_a_healthy_run_has_no_findings() -> None:
    losses = [(step, 1 / (1 + step)) for step in range(60)]
    assert check(facts(losses=losses, speeds=[3.0] * 30, loss_age_s=1.0, lease_age_s=5.0)) == []
    assert check(facts(method=LoraMethod(rank=3), window=None, target_rank=None, ranks=ranks(60, 3, 3, 3, 3))) == []
    assert check(Facts(status=RunStatus.queued, method=METHOD)) == []


def test_ranks_that_never_move_are_a_warning_in_the_window_and_an_error_after_it() -> None:
    still: dict[str, Any] = {"settled_step": None, "pruned_to": None}
    early = facts(**still, pruning_due=Pruning(35, 12), step=35, ranks=ranks(35, 3, 3, 3, 3))
    assert check(early) == []  # this early, the plan prunes nothing
    due = replace(early, pruning_due=Pruning(45, 10), step=45, ranks=ranks(45, 3, 3, 3, 3))
    found = only(check(due))
    assert (found.code, found.severity, found.step) == ("ranks_never_move", "warning", 45)
    assert "nothing has been pruned, but the pruning of step 45 should have left 10 of 12 components" in found.message
    codes = {one.code: one.severity for one in check(facts(**still, step=60, ranks=ranks(60, 3, 3, 3, 3)))}
    assert codes["ranks_never_move"] == "error"
    # Held or frozen on purpose, or a fork that had nothing to prune yet.
    assert {one.code for one in check(replace(due, held_since=40))} == {"budget_out_of_reach"}
    assert {one.severity for one in check(replace(due, frozen_at=40))} == {"info"}
    assert check(replace(due, pruning_due=None)) == []


def test_gates_that_never_close_are_a_warning_from_half_of_the_steps_on() -> None:
    sora = facts(method=SoraMethod(rank=3), window=None, target_rank=None, pruning_due=None, settled_step=None)
    assert check(replace(sora, ranks=ranks(49, 3, 3, 3, 3))) == []
    assert only(check(replace(sora, ranks=ranks(50, 3, 3, 3, 3)))).message.startswith("No gate has closed by step 50")


@pytest.mark.parametrize("code", ["budget_unmoved", "ranks_equal"])
def test_a_finding_uses_the_text_of_the_stored_warning(code: str) -> None:
    found = only(check(facts(warnings=[Warned(code, "The training's own words.", "Do this.", 7)])))
    assert found == Finding("ranks_never_move", "warning", "The training's own words.", "Do this.", 7)


def test_an_unreachable_budget_is_explained() -> None:
    above: dict[str, Any] = {"ranks": ranks(60, 3, 3, 3, 2)}
    held = facts(**above, settled_step=None, held_since=30)
    found = only(check(held))
    assert (found.code, found.severity, found.step) == ("budget_out_of_reach", "warning", 30)
    assert "11 components are live, and the target rank 2 allows 8" in found.message
    assert found.next_step == "Release pruning before the last step, 100."
    within = only(check(replace(held, step=40, ranks=ranks(40, 3, 3, 3, 2))))
    assert (within.severity, within.next_step) == (
        "info",
        "Release pruning by step 50, at which the ranks become final.",
    )
    assert only(check(replace(held, status=RunStatus.stopped))).severity == "warning"  # it may continue
    assert only(check(replace(held, status=RunStatus.done))).severity == "error"
    frozen = only(check(facts(**above, frozen_at=40, settled_step=40)))
    assert (frozen.severity, frozen.step) == ("info", 40)
    broken = only(check(facts(**above)))
    assert broken.severity == "error"
    assert broken.message.startswith("Pruning ended at step 50, and 11 components are live")
    # With a budget in parameters, more components are live where smaller modules have them.
    by_size = replace(above["ranks"], costs=[1, 1, 1, 9])
    assert only(check(facts(ranks=by_size))).message.startswith(
        "Pruning ended at step 50, and 9 components of mean size"
    )
    assert check(facts(ranks=replace(by_size, ranks=[3, 3, 3, 1]))) == []
    # A target that was raised during the run is met.
    assert check(facts(target_rank=3, ranks=ranks(60, 3, 3, 3, 2))) == []


def test_live_components_are_compared_with_the_budget_of_the_last_pruning() -> None:
    # Between the prunings of step 35 and 45 the budget of the schedule falls, and nothing is pruned.
    between = facts(
        settled_step=None, step=40, pruning_due=Pruning(35, 11), pruned_to=Pruning(35, 11), ranks=ranks(40, 3, 3, 3, 2)
    )
    assert check(between) == []
    missed = only(check(replace(between, pruned_to=Pruning(35, 10))))
    assert (missed.code, missed.severity) == ("budget_out_of_reach", "warning")
    assert missed.message == "11 components are live at step 40, and the budget of the last pruning, at step 35, is 10."


def test_modules_at_rank_0_are_named_and_judged() -> None:
    few = only(check(facts(ranks=ranks(60, 3, 3, 2, 0, final=True))))
    assert few.severity == "info"
    assert "1 of 4 modules have rank 0 at step 60: layer.3.query. That is fine" in few.message
    assert "The export leaves them out" in few.message
    early = facts(ranks=ranks(40, 3, 3, 2, 0), settled_step=None)
    assert "They may come back" in only(check(early)).message
    most = facts(ranks=ranks(60, 3, 0, 0, 0, final=True))
    assert only(check(most)).severity == "warning"
    # They may still be regrown; and at a mean rank of one, two modules with rank two suffice.
    assert only(check(replace(most, ranks=ranks(40, 3, 0, 0, 0)))).severity == "info"
    assert only(check(replace(most, target_rank=1))).severity == "info"
    nothing = only(check(facts(ranks=ranks(60, 0, 0, 0, 0, final=True))))
    assert nothing.severity == "error"
    assert "The adapter no longer has any effect" in nothing.message
    given = ControlMethod(rank_pattern=dict(zip(NAMES, (3, 0, 0, 0), strict=False)))
    assert check(facts(method=given, window=None, target_rank=None, ranks=ranks(60, 3, 0, 0, 0))) == []


def test_scores_are_equal_where_a_pruning_had_to_choose_between_equals() -> None:
    def with_cut(threshold: float, *scores: float, shown: float = 0.5, method: AnyMethod = METHOD) -> list[Finding]:
        cut = NewestCut(45, threshold, scores)
        return check(facts(method=method, ranks=ranks(60, 2, 2, 2, 2, scores=[shown] * 8), cut=cut))

    found = only(with_cut(0.5, 0.5, 0.5))
    assert (found.code, found.severity, found.step) == ("scores_equal", "warning", 60)
    assert "nothing has been learned yet" in only(with_cut(0.0, 0.0, 0.0, shown=0.0)).message
    # Small scores are 0 in a snapshot's float16. For a share in a norm, this means that nothing moves; for other scores
    # it means nothing.
    assert only(with_cut(3e-10, 2e-10, 1e-10, shown=0.0)).code == "scores_equal"
    adalora = AdaLoraMethod(target_rank=2, initial_rank=3, prune_interval=10)
    assert with_cut(3e-10, 2e-10, 1e-10, shown=0.0, method=adalora) == []
    assert only(with_cut(0.0, 0.0, 0.0, shown=0.0, method=adalora)).code == "scores_equal"
    # The last one pruned may tie with the first one kept while others differ.
    tied = NewestCut(45, 0.5, [0.5])
    assert check(facts(ranks=ranks(60, 2, 2, 2, 2, scores=[0.5] * 7 + [0.75]), cut=tied)) == []
    # Nothing had to be pruned yet, so equal scores don't matter.
    first = facts(settled_step=None, pruning_due=Pruning(15, 12), pruned_to=Pruning(15, 12))
    assert check(replace(first, step=15, ranks=ranks(15, 3, 3, 3, 3, scores=[0.0] * 12))) == []


def test_scores_that_are_nan() -> None:
    bad = only(check(facts(ranks=ranks(60, 2, 2, 2, 2, scores=[0.5] * 6 + [math.nan, math.inf]))))
    assert (bad.code, bad.severity) == ("scores_nan", "error")
    assert "1 of 8 live components have the score NaN" in bad.message
    warning = Warned("nan_scores", "Scores are NaN at step 55: the training has diverged.", "", 55)
    again = only(check(facts(warnings=[warning])))
    assert (again.severity, again.step) == ("info", 55)
    assert again.message == f"{warning.message} No score is NaN at step 60."


def test_a_loss_that_is_nan_is_an_error_until_it_recovers() -> None:
    good = [(step, 0.5) for step in range(40)]
    bad = only(check(facts(losses=[*good, (40, math.nan), (41, math.nan)])))
    assert (bad.code, bad.severity, bad.step) == ("loss_nan", "error", 40)
    assert "2 losses since step 40" in bad.message
    warning = Warned("nan_loss", "The loss is nan at step 40.", "Lower learning_rate or max_grad_norm.", 40)
    told = only(check(facts(losses=[*good, (40, math.nan)], warnings=[warning])))
    assert (told.message, told.next_step) == (warning.message, warning.next_step)
    assert only(check(facts(losses=[*good, (40, math.nan), (41, 0.5)]))).severity == "info"


def noisy(shape: Any, noise: float, seed: int, steps: int = 400) -> list[tuple[int, float]]:
    chance = random.Random(seed)
    return [(step, shape(step / steps) + chance.gauss(0, noise)) for step in range(1, steps + 1)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_a_diverging_loss_is_distinguished_from_a_noisy_one(seed: int, noise: float) -> None:
    healthy = {
        "falling": lambda x: 0.2 + 0.5 * math.exp(-5 * x),
        "flat": lambda _x: 0.69,
        "overfitted": lambda x: 0.7 * math.exp(-20 * x),
        "a hump that is over": lambda x: 0.4 + 0.6 * math.exp(-((x - 0.5) ** 2) / 0.005) - 0.1 * x,
    }
    for name, shape in healthy.items():
        trend = loss_trend(noisy(shape, noise, seed))
        assert trend is not None
        assert not trend.is_diverging, name
    ill = {
        "rising at the end": lambda x: 0.2 + 0.5 * math.exp(-8 * x) + 3 * max(0.0, x - 0.8),
        "stuck high": lambda x: 0.3 if x < 0.6 else 2.5,
    }
    for name, shape in ill.items():
        trend = loss_trend(noisy(shape, noise, seed))
        assert trend is not None
        assert trend.is_diverging, name


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_that_is_smooth_before_it_falls_and_noisy_afterwards_does_not_diverge(seed: int) -> None:
    chance = random.Random(seed)
    flat = [(step, chance.gauss(0.69, 0.005)) for step in range(360)]
    fallen = [(step, abs(chance.gauss(0.3, 0.3))) for step in range(360, 600)]
    trend = loss_trend(flat + fallen)
    assert trend is not None
    assert not trend.is_diverging


def test_a_diverging_loss_is_a_finding_with_its_numbers() -> None:
    losses = noisy(lambda x: 0.2 + 0.5 * math.exp(-8 * x) + 3 * max(0.0, x - 0.8), 0.05, 0)
    found = only(check(facts(losses=losses)))
    assert (found.code, found.step) == ("loss_diverging", 400)
    assert check(facts(losses=losses[:20])) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_that_rises_after_pruning_diverges_only_above_its_first_value(seed: int) -> None:
    cut = noisy(lambda x: 0.1 + 0.6 * math.exp(-12 * x) if x < 0.5 else 0.5, 0.05, seed)
    for seen in range(205, 401, 5):
        trend = loss_trend(cut[:seen], cut_step=200)
        assert trend is not None
        assert not trend.is_diverging, seen
    blind = loss_trend(cut)
    assert blind is not None
    assert blind.is_diverging
    ill = loss_trend(noisy(lambda x: 0.1 + 0.6 * math.exp(-12 * x) if x < 0.5 else 2.5, 0.05, seed), cut_step=200)
    assert ill is not None
    assert ill.is_diverging


def test_a_collapse_of_the_speed_and_a_stall() -> None:
    slow = only(check(facts(speeds=[3.0] * 20 + [0.5] * 5)))
    assert (slow.code, slow.severity) == ("throughput_collapse", "warning")
    assert slow.message.startswith("0.5 steps per second at step 60; the median of this attempt is 3")
    assert check(facts(speeds=[3.0] * 20 + [0.5] * 2 + [3.0] * 3)) == []
    assert check(facts(speeds=[3.0] * 20 + [0.5] * 5, status=RunStatus.done)) == []
    stalled = only(check(facts(speeds=[3.0], loss_age_s=61.0)))
    assert stalled.message.startswith("No step has ended for 61 s, since step 60")
    assert check(facts(speeds=[0.1], loss_age_s=400.0)) == []  # fifty steps would take 500 s


def test_a_late_heartbeat_counts_only_while_a_lease_is_held() -> None:
    late = only(check(facts(worker="w1", lease_age_s=16.0)))
    assert (late.code, late.severity) == ("heartbeat_late", "warning")
    assert late.message.startswith("Worker w1 last renewed its lease 16 s ago")
    assert only(check(facts(lease_age_s=31.0))).severity == "error"
    assert check(facts(lease_age_s=14.0)) == []
    assert check(facts(lease_age_s=999.0, status=RunStatus.stopped)) == []


def test_errors_come_first() -> None:
    found = check(facts(lease_age_s=99.0, ranks=ranks(60, 3, 3, 2, 0, final=True), speeds=[3.0] * 20 + [0.5] * 5))
    assert [one.severity for one in found] == ["error", "warning", "info"]
