"""Memory of the machine: giving it back, and telling that it ran out."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ablations.execution.environment import _M_MMAP_MAX, _M_TRIM_THRESHOLD

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
"""Where Linux tells of the system, and of groups of processes."""


def num_memory_kills() -> int:
    """Processes that the system has killed for want of memory, of this one's group where it has one; 0 where it does not say.

    A group is a container, a scheduler's job or a login. The whole system's count has what befell others in it.
    """
    for file in (*_memory_groups(), PROC / "vmstat"):
        with suppress(OSError, ValueError):
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0


def _memory_groups() -> Iterator[Path]:
    """Files that may count the kills in this process's group, of both versions of cgroups."""
    with suppress(OSError, ValueError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield CGROUPS / path.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                yield CGROUPS / "memory" / path.lstrip("/") / "memory.oom_control"
    # In a container the path may be the host's, and the group's own folder stands here.
    yield CGROUPS / "memory.events"


_NO_MEMORY = (
    "allocate memory",
    "out of memory",
    "bad_alloc",
    "ALLOC_FAILED",
    # cuBLAS makes itself ready at the first product, and cuDNN tries kernels until one's workspace fits: neither says why not.
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "unable to find an engine to execute",
)
"""What libraries say that have no exception of their own for it."""


def memory_error(error: BaseException) -> BaseException | None:
    """The exception that says that memory was short: this one, or one that it came from; None where none does.

    One that is raised while a step is recorded on a CUDA device is followed by another, which says that the recording failed.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError) or any(words in str(found) for words in _NO_MEMORY):
            return found
        found = found.__cause__ or found.__context__
    return None


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where its C library is glibc.

    Activations are large, and glibc gives each back to the kernel at once; the next step then pays for fresh pages, which
    the kernel clears: a tenth to a sixth of a step's processor time.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_memory() -> None:
    """Give the kernel back what `keep_freed_memory` has kept, between trials: another process may need it meanwhile."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
