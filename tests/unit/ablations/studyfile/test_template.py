"""`init`: what a new study starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import CPU, TEXT

from ablations.planning.planner import make_plan
from ablations.studyfile.loading import parse, read_file, shipped_studies
from ablations.studyfile.template import TEMPLATE, copied


def test_the_template_has_a_short_starter() -> None:
    file = read_file(TEMPLATE)
    plans = {name: make_plan(file.spec, name, CPU) for name in file.spec.profiles}
    assert plans["starter"].data.name == "digits"
    assert (len(plans["starter"].cells), plans["starter"].looks) == (50, (5, 8, 12, 20))


@pytest.mark.parametrize("path", [*shipped_studies(), TEMPLATE], ids=lambda path: path.stem)
def test_a_copy_differs_in_its_name_alone(path: Path) -> None:
    file = read_file(path)
    copy = parse(copied(file, Path("there") / "mine.yaml"), "mine.yaml")
    assert copy.spec == file.spec.model_copy(update={"study": "mine"})
    head = ["# yaml-language-server: $schema=study.schema.json", "# python -m ablations run there/mine.yaml"]
    assert copy.text.splitlines()[:2] == head
    assert copy.text.count("yaml-language-server") == 1
    assert copy.text.count("#") >= file.text.count("#")


@pytest.mark.parametrize("key", ["study: tiny", "study: 'tiny'  # a comment", '"study":   "tiny"'])
def test_the_name_is_found_however_it_is_written(key: str) -> None:
    text = copied(parse(TEXT.replace("study: tiny", key), "s.yaml"), Path("mine.yaml"))
    assert parse(text, "mine.yaml").spec.study == "mine"
    assert ("# a comment" in text) is ("# a comment" in key)
