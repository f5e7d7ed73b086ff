"""Obstacles to a run on this machine, and their remedies. Downloads nothing, and calls no server."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ablations import networks, registry
from ablations.datasets import DATASETS, Dataset, package_of
from ablations.errors import RegistrationError, TrackingError
from ablations.execution.environment import detect, provenance, torch_problem
from ablations.text import plural
from ablations.tracking.store import Store
from nin.config import ConfigError
from nin.presets import PRESETS

SCARCE_BYTES, NEEDED_BYTES = 2 << 30, 200 << 20
"""Free space below which a big study, or any study, may not end."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    level: Literal["ok", "warning", "problem"]
    """A warning stops some studies, a problem all of them."""
    text: str
    remedy: str = ""


def examine(data_dir: Path, store: Store, output: Path) -> Iterator[Finding]:
    """Check everything a run needs, one thing after the other.

    Args:
        data_dir: folder of the data sets.
        store: for the trials.
        output: folder of the reports.
    """
    yield from _software()
    yield _device()
    yield from (_data(name, data_dir) for name in DATASETS)
    yield from map(_network, registry.names(networks.GROUP))
    yield from (_folder(what, folder) for what, folder in (("reports", output), ("checkpoints", Path(".ablations"))))
    yield from _store(store)


def _software() -> Iterator[Finding]:
    here = provenance()
    yield Finding("ok", f"Python {here['python']} on {here['platform']}, {here['processor']}")
    missing = [name for name, version in here["versions"].items() if version == "not installed"]
    if missing:
        yield Finding(
            "problem", f"not installed: {', '.join(missing)}", "Install the suite with pip, which brings them."
        )
    yield Finding(
        "ok", ", ".join(f"{name} {version}" for name, version in here["versions"].items() if name not in missing)
    )


def _device() -> Finding:
    machine = detect()
    problem = torch_problem(machine.device)
    if problem:
        return Finding("problem", *problem)
    precision = "bf16" if machine.bf16 else "fp32, since it has no bf16 of its own"
    scale = (
        ""
        if machine.device == "cuda"
        else ". No CUDA device: profiles called book are meant for one, and take weeks here; choose --profile starter or laptop"
    )
    return Finding(
        "ok", f"{plural(machine.num_workers, 'training')} at a time on {machine.description}, in {precision}{scale}"
    )


def _data(name: str, data_dir: Path) -> Finding:
    try:
        dataset = DATASETS[name]
    except RegistrationError as error:
        return Finding("warning", f"data set {name}: {error}", "Fix the package, or uninstall it.")
    if dataset.read is not None:
        return Finding("ok", f"data set {name}: of {package_of(name)}")
    if not dataset.files_md5:
        return Finding("ok", f"data set {name}: comes with the suite")
    try:
        return _files(name, dataset, data_dir)
    except OSError as error:
        return Finding(
            "warning",
            f"data set {name}: {error.filename}: {error.strerror}",
            "Make it readable, or name another folder with --data-dir.",
        )


def _files(name: str, dataset: Dataset, data_dir: Path) -> Finding:
    """Whether the files of a data set are there, as published."""
    files = {data_dir / file: md5 for file, md5 in dataset.files_md5.items()}
    packed = not all(file.exists() for file in files)
    if packed:
        # A run unpacks them, and downloads nothing.
        files = {data_dir / file: md5 for file, md5 in dataset.archives_md5.items()}
    if not all(file.exists() for file in files):
        return Finding(
            "warning",
            f"data set {name}: not in {data_dir.absolute()}",
            "A study that uses it unpacks its archives there, and downloads them first if they are missing. Without a network: name "
            "the folder that has it, --data-dir.",
        )
    for file, md5 in files.items():
        if hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            return Finding(
                "warning",
                f"data set {name}: {file} is not the published file",
                "Delete it; it is then downloaded again.",
            )
    archives = "; the first run unpacks its archives" if packed else ""
    return Finding("ok", f"data set {name}: in {data_dir.absolute()}, as published{archives}")


def _network(name: str) -> Finding:
    """Whether a registered network can be used."""
    if name in PRESETS:
        return Finding(
            "warning",
            f"network {name}: the suite has a network of this name, which studies use",
            "Register yours under another name.",
        )
    try:
        networks.dial_names(name)
    except ConfigError as error:
        return Finding("warning", f"network {name}: {error.message}", "Fix the package, or uninstall it.")
    return Finding("ok", f"network {name}: of {registry.find(networks.GROUP, name)[1]}")


def existing_part(folder: Path) -> tuple[Path, bool]:
    """The existing part of a folder's path, and whether the rest can be made in it."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return there, there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _folder(what: str, folder: Path) -> Finding:
    """Whether a run can make and write to a folder, and whether the disk has space."""
    there, usable = existing_part(folder)
    if not usable:
        return Finding(
            "problem",
            f"{what}: cannot be written to {folder.absolute()}",
            f"Make {there} a writable folder.",
        )
    free = shutil.disk_usage(there).free
    text = f"{what}: {free / 2**30:,.1f} GiB free at {folder.absolute()}"
    if free >= SCARCE_BYTES:
        return Finding("ok", text)
    return Finding("problem" if free < NEEDED_BYTES else "warning", text, "Make room, or run in another folder.")


def _store(store: Store) -> Iterator[Finding]:
    try:
        from ablations.tracking.reader import recorded_studies
    except ImportError as error:
        yield Finding("problem", f"mlflow cannot be imported: {error}", "Install it again, with pip.")
        return
    if store.file is None:
        call = f"`python -m ablations report{store.option}` calls it."
        yield Finding("ok", f"MLflow store: {store}, which was not called", call)
        return
    yield _folder("MLflow store", store.file.parent)
    if not store.file.exists():
        yield Finding("ok", f"MLflow store: {store.file} is made by the first run")
        return
    try:
        count = len(recorded_studies(store))
    except TrackingError as error:
        yield Finding("problem", str(error))
    else:
        yield Finding("ok", f"MLflow store: {store.file}, studies recorded: {count}")
