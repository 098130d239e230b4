"""Finds leases and states that have not changed for too long, without using a wall clock."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from rankscope.store.leases import Lease

State = TypeVar("State", bound=Hashable)


class Watch(Generic[State]):
    """Finds states that have not changed for some time, by this process's monotonic clock.

    A renewal changes the lease's row, so it is visible without a wall clock. So hosts with different clocks, or clocks that
    jump, neither take each other's runs nor miss a lost one.
    """

    def __init__(self, after_s: Callable[[State], float]) -> None:
        self._after_s = after_s
        self._seen: dict[State, float] = {}

    def unchanged(self, current: Iterable[State], now: float) -> list[State]:
        """Returns the states of `current` that have been unchanged for more than their `after_s`. `now`: monotonic seconds."""
        self._seen = {state: self._seen.get(state, now) for state in current}
        return [state for state, since in self._seen.items() if now - since > self._after_s(state)]


class LeaseWatch(Watch[Lease]):
    """Finds leases that have not been renewed for `after_s` seconds."""

    def __init__(self, after_s: float) -> None:
        super().__init__(lambda _lease: after_s)

    def lapsed(self, held: Iterable[Lease], now: float) -> list[Lease]:
        """Returns the leases of `held` that have lapsed. `now`: monotonic seconds."""
        return self.unchanged(held, now)

    def unchanged_s(self, lease: Lease, now: float) -> float | None:
        """Returns how long the lease has been unchanged, in seconds; None if it was renewed after the last check."""
        since = self._seen.get(lease)
        return None if since is None else now - since
