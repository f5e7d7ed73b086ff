from __future__ import annotations

from pathlib import Path

import pytest

from ablations.execution.cgroups import cpu_quotas


@pytest.mark.parametrize(
    ("told", "files", "quotas"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, []),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, [0.5]),
        # The path is the host's, and the container's files are at the top.
        ("0::/of/the/host\n", {"cpu.max": "250000 100000\n"}, [2.5]),
        # A group within a group: each limit holds.
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000", "cpu.max": "800000 100000"}, [3, 8]),
        ("4:cpu,cpuacct:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, []),
        ("2:cpu:/a:b\n", {"cpu/a:b/cpu.cfs_quota_us": "50000", "cpu/a:b/cpu.cfs_period_us": "25000"}, [2]),
        ("5:cpuset:/a\n", {"cpuset/a/cpu.max": "1 1", "cpu.max": "1 1"}, []),
        ("nonsense\n", {"cpu.max": "1 1"}, []),
        ("0::/\n", {"cpu.max": "nonsense"}, []),
    ],
)
def test_quotas_of_a_group_and_of_those_around_it(
    told: str, files: dict[str, str], quotas: list[float], system: Path
) -> None:
    assert list(cpu_quotas()) == []
    (system / "self" / "cgroup").write_text(told)
    for name, text in files.items():
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(text)
    assert list(cpu_quotas()) == quotas
