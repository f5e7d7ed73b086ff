"""The JSON Schema of the study file: what it knows, and that its stored copy is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import packages
import pytest
import yaml
from builders import CONDITIONAL, TEXT, edited
from jsonschema import Draft202012Validator
from places import ROOT

from ablations.studyfile.loading import shipped_studies
from ablations.studyfile.schema import SCHEMA_FILE, study_schema
from ablations.studyfile.template import TEMPLATE

SCHEMA = study_schema()
STORED = ROOT / "studies" / SCHEMA_FILE


def complaints(text: str) -> list[str]:
    """Where the schema has something against a study file."""
    document = yaml.safe_load(text)
    return [".".join(map(str, error.absolute_path)) for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def test_the_stored_copy_is_what_the_models_say() -> None:
    again = f"python -m ablations schema > studies/{SCHEMA_FILE}"
    assert json.loads(STORED.read_text(encoding="utf-8")) == json.loads(json.dumps(SCHEMA)), (
        f"it is written by: {again}"
    )


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", [*shipped_studies(), TEMPLATE], ids=lambda path: path.stem)
def test_what_ships_is_valid(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", shipped_studies(), ids=lambda path: path.stem)
def test_what_ships_names_the_copy_beside_it(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")


@pytest.mark.parametrize("text", [TEXT, CONDITIONAL], ids=["plain", "with conditions"])
def test_what_the_suite_takes_is_valid(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("seeds: 2\n", "sedes: 2\n", ""),
        ("batch_size: 32", "batch_sise: 32", "base.train"),
        ("width: 0.25", "widht: 0.25", "base.model"),
        ("preset: nin_small", "preset: nin_smal", "base.model.preset"),
        ("name: synthetic", "name: synthetics", "base.data.name"),
        ("model.mixers: 1", "model.mixer: 1", "variants.one"),
        ("model.mixers: 1", "model.mixers: one", "variants.one"),
        ("  two:\n", "  Two:\n  two:\n", "variants"),
        ("expect: worse", "expect: worst", "variants.one"),
        ("  train.lr: {", "  train.lrs: {", "search_space"),
        ("  train.lr: {", "  train.epochs: {", "search_space"),
        ("low: 0.01", "lowest: 0.01", "search_space.train.lr"),
        ("margin: 5.0", "margin: 500", "decision.margin"),
        ("train.epochs: 1", "train.epoch: 1", "profiles.short.set"),
    ],
)
def test_a_slip_is_not(old: str, new: str, where: str) -> None:
    assert where in complaints(edited((old, new)))


def test_every_key_says_what_it_means() -> None:
    sections: dict[str, Any] = {"a study": SCHEMA, **SCHEMA["$defs"]}
    dotted = {"Settings", "Axes", "SearchSpace"}
    silent = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, value in section.get("properties", {}).items()
        if name not in dotted and not value.get("description")
    ]
    assert silent == []


def test_it_knows_what_packages_register_and_not_their_dials(site: Path) -> None:
    packages.install(packages.EXAMPLE, site)
    document = yaml.safe_load((packages.EXAMPLE / "residual.yaml").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(study_schema()).iter_errors(document)) == []
    assert list(Draft202012Validator(SCHEMA).iter_errors(document))
