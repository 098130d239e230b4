"""Detects whether the kernel killed a process because memory ran out, which a SIGKILL alone doesn't show."""

from pathlib import Path

_ROOT = Path("/")


def oom_kills(root: Path = _ROOT) -> int:
    """Returns how many processes the kernel has killed for memory: in this control group, or on the host if there is none.

    A counter that only increases; 0 if the kernel doesn't report it. Compare the values before and after.
    """
    of_group = _of_group(root)
    # The host's counter also counts other programs: it is used only if the group has none.
    return (_in_file(root / "proc/vmstat") or 0) if of_group is None else of_group


def _of_group(root: Path) -> int | None:
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        # Version 2 has one line, "0::/path"; version 1 one for each controller, "4:memory:/path". Inside a container the
        # path is "/".
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        mount = root / "sys/fs/cgroup"
        if number == "0" and not controllers:
            file = mount / path.lstrip("/") / "memory.events"
        elif controllers == "memory":
            file = mount / "memory" / path.lstrip("/") / "memory.oom_control"
        else:
            continue
        if (kills := _in_file(file)) is not None:
            return kills
    return None


def _in_file(path: Path) -> int | None:
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    except (OSError, ValueError):
        pass
    return None
