from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ablations.execution import cgroups
from ablations.execution.data import DataSource
from ablations.execution.local import LocalExecutor
from ablations.trial import Machine


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a worker; several threads change the last bits, and crawl on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> DataSource:
    return DataSource(tmp_path_factory.mktemp("data"), "cpu")


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    """One worker, which starts with the first trial."""
    machine = Machine("cpu", bf16=False, num_workers=1, description="1 CPU core")
    executor = LocalExecutor(machine, tmp_path / "data", tmp_path / "checkpoints")
    yield executor
    executor.close()


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of a system that has killed seven processes because memory ran out, none of them in a group."""
    for name in ("PROC", "CGROUPS"):
        monkeypatch.setattr(cgroups, name, tmp_path / "system")
    (tmp_path / "system" / "self").mkdir(parents=True)
    (tmp_path / "system" / "vmstat").write_text("nr_free_pages 12345\noom_kill 7\n")
    return tmp_path / "system"
