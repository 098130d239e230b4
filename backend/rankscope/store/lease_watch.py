"""Which leases and states have not changed for too long, without asking any wall clock."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from rankscope.store.leases import Lease

State = TypeVar("State", bound=Hashable)


class Watch(Generic[State]):
    """Which states have not changed for a time, by this process's own monotonic clock.

    A renewal of a lease changes its row, so that no wall clock is needed to see it: hosts whose clocks differ, or jump,
    neither take each other's runs nor leave a lost one alone.
    """

    def __init__(self, after_s: Callable[[State], float]) -> None:
        self._after_s = after_s
        self._seen: dict[State, float] = {}

    def unchanged(self, current: Iterable[State], now: float) -> list[State]:
        """Those of `current` that were first seen, as they are, more than `after_s` of it ago. `now`: monotonic seconds."""
        self._seen = {state: self._seen.get(state, now) for state in current}
        return [state for state, since in self._seen.items() if now - since > self._after_s(state)]


class LeaseWatch(Watch[Lease]):
    """Which leases have not been renewed for `after_s`."""

    def __init__(self, after_s: float) -> None:
        super().__init__(lambda _lease: after_s)

    def lapsed(self, held: Iterable[Lease], now: float) -> list[Lease]:
        return self.unchanged(held, now)

    def unchanged_s(self, lease: Lease, now: float) -> float | None:
        """For how long this process has seen the lease as it is; None if it has been renewed since the last look."""
        since = self._seen.get(lease)
        return None if since is None else now - since
