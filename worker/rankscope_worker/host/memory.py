"""Memory of the host: how much a worker's processes may use, and whether the kernel killed a process for it."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from rankscope.store.workers import HostMemory

_ROOT = Path("/")
_LIMIT_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
"""By version of control groups: the files with limit and use, and the entry of memory.stat with the reclaimable cache."""


def oom_kills(root: Path = _ROOT) -> int:
    """Returns the kernel's count of out-of-memory kills in this control group, or on the host if there is none.

    A counter that only increases; 0 if the kernel doesn't report it. Compare the values before and after.
    """
    of_group = _of_group(root)
    # The host's counter also counts other programs, so it is used only if the group has no counter.
    return (_in_file(root / "proc/vmstat", "oom_kill") or 0) if of_group is None else of_group


def host_memory(root: Path = _ROOT) -> HostMemory:
    """Returns the memory of this control group if it has a limit below that of the host; otherwise the host's."""
    host = psutil.virtual_memory()
    total, free = int(host.total), int(host.available)
    for folder, version in _groups(root):
        limit_name, used_name, cache_name = _LIMIT_FILES[version]
        limit, used = _number(folder / limit_name), _number(folder / used_name)
        if limit is None or used is None or limit >= total:
            continue
        cache = _in_file(folder / "memory.stat", cache_name) or 0
        total, free = limit, min(free, max(0, limit - used + cache))
    return HostMemory(total, free)


def _of_group(root: Path) -> int | None:
    for folder, version in _groups(root):
        kills = _in_file(folder / ("memory.oom_control" if version == 1 else "memory.events"), "oom_kill")
        if kills is not None:
            return kills
    return None


def _groups(root: Path) -> Iterator[tuple[Path, int]]:
    """Returns the folders of the control groups for memory, with the version."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        # Version 2 has one line, "0::/path"; version 1 one for each controller, "4:memory:/path". Inside a container the
        # path is "/".
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        mount = root / "sys/fs/cgroup"
        if number == "0" and not controllers:
            yield mount / path.lstrip("/"), 2
        elif controllers == "memory":
            yield mount / "memory" / path.lstrip("/"), 1


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no limit: "max"
        return None


def _in_file(path: Path, wanted: str) -> int | None:
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, number = line.partition(" ")
            if name == wanted:
                return int(number)
    except (OSError, ValueError):
        pass
    return None
