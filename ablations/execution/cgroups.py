"""Linux' groups of processes: a container, a scheduler's job or a login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
"""Linux' files about the system, and about groups of processes."""


def group_folders(controller: str) -> Iterator[Path]:
    """Folders that may have a controller's files about this process's groups, for both versions of cgroups.

    The own group comes first, then the groups around it. In a container the path may be the host's; the container's files
    are then in the last folder, the top.
    """
    with suppress(OSError, ValueError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = CGROUPS / controller if controllers else CGROUPS
            group = PurePosixPath(path.lstrip("/"))
            yield from (top / each for each in (group, *group.parents))


def cpu_quotas() -> Iterator[float]:
    """Cores that the groups of this process may use at a time, for each group with a limit; 0.5 is half of the time of one."""
    for folder in group_folders("cpu"):
        for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
            # A group without a limit has "max" or -1, and most folders have one of the versions' files or none.
            with suppress(OSError, ValueError):
                quota, period = " ".join((folder / file).read_text() for file in files).split()
                if int(quota) > 0:
                    yield int(quota) / int(period)
