from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

SLOW = {"functional", "contract"}
"""Folders of tests that are slow as a whole."""
SHARED = {"two_nodes", "report", "finished"}
"""Expensive fixtures; their tests are slow."""

_REPORT = ("csv_tables", "latex", "paper", "prose", "render", "summary_json", "svg")
TOGETHER = {
    "tests/contract/test_executor.py": "two_nodes",
    "tests/functional/test_browser.py": "browser",
    "tests/functional/test_cluster_run.py": "two_nodes",
    "tests/functional/test_run.py": "finished",
    "tests/unit/ablations/execution/test_cluster.py": "two_nodes",
    "tests/unit/ablations/test_export.py": "export",
    **{f"tests/unit/ablations/reporting/test_{name}.py": "report" for name in _REPORT},
}
"""Files that stay in one process, by the fixture that they share; every process would make it again."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: a long one at the end would keep one process busy while the others wait."""
    for item in items:
        shared = SHARED & set(getattr(item, "fixturenames", ()))
        if shared or item.path.parent.name in SLOW:
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Send tests to the processes one by one, and tests with a shared fixture to one process.

    The mark `xdist_group` has no effect: xdist 3.8 adds groups to the ids of tests, and pytest 9.2 keeps its ids.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER.get(nodeid.partition("::")[0], nodeid)

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test meets the store of the person who runs it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: its migrations take seconds, a copy of it none."""
    from ablations.tracking.database import make_database
    from ablations.tracking.store import Store

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    make_database(Store(f"sqlite:///{path}"))
    return path


@pytest.fixture
def new_store(migrated_database: Path, tmp_path: Path) -> Callable[[], str]:
    """Makes an empty store in a folder whose name needs quoting, and gives its URI."""

    def make() -> str:
        folder = tmp_path / "a store, 100 %"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(migrated_database, folder / "mlflow.db")
        return f"sqlite:///{folder / 'mlflow.db'}"

    return make


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, for one test; `packages.py` installs into it."""
    from ablations import networks, registry

    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    # What is installed is looked up once a process.
    remembered = (registry._entry_points, registry.find, networks._registered, networks._counted)
    for each in remembered:
        each.cache_clear()
    yield folder
    for each in remembered:
        each.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, with room for a trial each."""
    pytest.importorskip("ray", reason="Ray is not installed: the extra 'cluster'")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()
