"""The reference page and its example: what the models say, and every key of it."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
import yaml
from builders import CPU
from jsonschema import Draft202012Validator
from places import ROOT

from ablations.planning.planner import make_plan
from ablations.studyfile.loading import read_file
from ablations.studyfile.schema import study_schema

DOCS = ROOT / "docs"
SCHEMA = study_schema()


def keys(value: Any) -> set[str]:
    """All keys of mappings in a document."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_the_page_is_what_the_models_say() -> None:
    page = runpy.run_path(str(DOCS / "reference.py"))["reference"]()
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == page, "it is written by: python docs/reference.py"


def test_the_example_has_every_key() -> None:
    document = yaml.safe_load((DOCS / "every_key.yaml").read_text(encoding="utf-8"))
    sections = {
        name: each for name, each in SCHEMA["$defs"].items() if name not in {"Model", "Settings", "Axes", "SearchSpace"}
    }
    known = set(SCHEMA["properties"]).union(*(each.get("properties", ()) for each in sections.values()))
    assert known - keys(document) == set()
    assert not list(Draft202012Validator(SCHEMA).iter_errors(document))


@pytest.mark.parametrize("profile", ["laptop", "starter"])
def test_the_example_is_right(profile: str) -> None:
    assert len(make_plan(read_file(DOCS / "every_key.yaml").spec, profile, CPU).variants) == 13
