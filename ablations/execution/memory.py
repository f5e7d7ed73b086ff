"""This machine's memory: keeping it, giving it back, and recognising errors from running out of it."""

from __future__ import annotations

import contextlib
import ctypes

from ablations.execution import cgroups

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`: most free bytes at the end of the heap, and most blocks mapped singly."""

_MESSAGES_OF_NO_MEMORY = (
    "allocate memory",
    "out of memory",
    "bad_alloc",
    "ALLOC_FAILED",
    # cuBLAS allocates at the first product, and cuDNN tries kernels until one's workspace fits: neither names the cause.
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "unable to find an engine to execute",
)
"""Parts of messages of libraries without an exception for it."""


def num_memory_kills() -> int:
    """Number of processes killed by the system because memory ran out; 0 if the system does not count them.

    Counts only this process's group if it has one: a container, a scheduler's job or a login. The system's own count
    includes other groups.
    """
    folders = cgroups.group_folders("memory")
    files = (folder / name for folder in folders for name in ("memory.events", "memory.oom_control"))
    for file in (*files, cgroups.PROC / "vmstat"):
        with contextlib.suppress(OSError, ValueError):
            counts = dict(line.split() for line in file.read_text().splitlines())
            return int(counts.get("oom_kill", 0))
    return 0


def memory_error(error: BaseException) -> BaseException | None:
    """The out-of-memory error behind an exception: itself, or one of its causes; None if there is none.

    If memory runs out while a CUDA graph is captured, the failed capture raises a second exception.
    """
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError) or any(words in str(found) for words in _MESSAGES_OF_NO_MEMORY):
            return found
        found = found.__cause__ or found.__context__
    return None


def keep_freed_memory() -> None:
    """Let this process keep freed memory, if its C library is glibc.

    Activations are large, and glibc returns each of them to the kernel at once. The next step then needs new pages, and
    the kernel clears them: a tenth to a sixth of a step's processor time.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_memory() -> None:
    """Return the memory kept by `keep_freed_memory` to the kernel, between trials: another process may need it meanwhile."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
