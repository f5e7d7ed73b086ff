"""Packages that register networks and data sets, installed as pip would, without an index or a network."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from places import ROOT

EXAMPLE = ROOT / "docs" / "example_package"


def install(project: Path, site: Path) -> None:
    """Install a project's package, with the entry points of its pyproject.toml, into a folder of packages."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module = about["name"].replace("-", "_")
    shutil.copytree(project / module, site / module, ignore=shutil.ignore_patterns("__pycache__"))
    register(site, about["name"], about["version"], about["entry-points"])


def register(site: Path, name: str, version: str, groups: dict[str, dict[str, str]]) -> None:
    """Record a package as installed in a folder, with its entry points by group and name."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    sections = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(sections))
