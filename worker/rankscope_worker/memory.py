"""Whether the kernel has killed something because memory ran out: what a SIGKILL by itself does not say."""

from pathlib import Path

_ROOT = Path("/")


def oom_kills(root: Path = _ROOT) -> int:
    """Processes that the kernel has killed for memory: of this control group where there is one, else of the host.

    Rises over time; 0 where the kernel does not tell. A caller compares before and after.
    """
    return max(_of_group(root), _in_file(root / "proc/vmstat"))


def _of_group(root: Path) -> int:
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    # Version 2 has one line, "0::/path"; inside a container the path is "/".
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    return 0 if path is None else _in_file(root / "sys/fs/cgroup" / path.lstrip("/") / "memory.events")


def _in_file(path: Path) -> int:
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    except (OSError, ValueError):
        pass
    return 0
