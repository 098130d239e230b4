"""The short form of `make faults`: one case of each quick kind, several at a time, through two installations."""

import pytest

from tests.faults.checks import Breach
from tests.faults.child_kills import while_it_compacts, while_it_writes_a_checkpoint
from tests.faults.damaged_checkpoints import make_damage
from tests.faults.harness import Case, Harness, Result
from tests.faults.installation import DEADLINE_S
from tests.faults.process_faults import freeze, kill_api, kill_its_worker, kill_valkey
from tests.forked_commands import ForkedCommands

_SUBJECT = ("compacted",)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory, forked: ForkedCommands) -> Harness:
    return Harness(tmp_path_factory.mktemp("faults"), seed=0, forked=forked)


@pytest.mark.timeout(3 * DEADLINE_S)  # above the harness's own deadlines, whose errors say more
def test_nothing_is_lost_whichever_process_is_killed(harness: Harness) -> None:
    breaches: list[Breach] = []
    damage = make_damage(breaches)
    # These need their own run: each relies on being the only one that ends its attempts.
    # (A child is killed at a random step in tests/worker/host/test_worker.py, in the pruning window in
    # tests/stacks/test_steer_and_fork_stack.py; both compare the adapters bit for bit.)
    private = [while_it_writes_a_checkpoint, while_it_compacts, damage]
    # These affect every run of a process, or all runs.
    shared = [kill_its_worker, kill_api, kill_valkey, freeze]

    def disturb(case: Case) -> str | None:
        return (private if case.row == "private" else shared)[case.number](case)

    with harness.installation(workers=2, slots=2, lease_s=5.0) as installation:
        results = [harness.train_undisturbed(installation, _SUBJECT)]
        for row, faults in (("private", private), ("shared", shared)):
            numbers = range(len(faults))
            viewers = (None, 7)
            results.append(
                harness.play(row, installation, numbers, disturb, at_a_time=4, subjects=_SUBJECT, viewers=viewers)
            )
    assert breaches + [breach for result in results for breach in result.breaches] == []
    assert _faults(results) == len(private) + len(shared)


def _faults(results: list[Result]) -> int:
    return sum(sum(result.faults.values()) for result in results)
