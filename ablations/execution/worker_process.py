"""A worker process, as the driver holds it."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ablations.trial import TrialSpec


@dataclass
class WorkerProcess:
    process: BaseProcess
    connection: Connection
    index: int
    """Among the workers; on CUDA it decides the device."""
    num_memory_kills: int
    """What the system had killed for want of memory when this one started."""
    spec: TrialSpec | None = None
    silent_seconds: float = 0.0
    """Waited for it since it was last heard of."""
