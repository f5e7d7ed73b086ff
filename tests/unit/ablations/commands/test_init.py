"""`init` and `schema`: the files that they write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import TEXT
from commandline import Command


@pytest.mark.parametrize("source", [[], ["--from", "head"], ["--from", "s.yaml"]], ids=" ".join)
def test_init_writes_a_study_that_is_right(command: Command, source: list[str]) -> None:
    code, out, err = command("init", "mine.yaml", *source)
    assert (code, err) == (0, "")
    assert out.endswith("python -m ablations run mine.yaml --profile starter\n")
    code, out, err = command("check", "mine.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("mine.yaml: ok: ")
    assert json.loads(Path("study.schema.json").read_text()) == json.loads(command("schema")[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s.yaml"], "s.yaml already exists and was not changed."),
        (["My study.yaml"], "name the file after its study: STUDY.yaml."),
        (["mine.txt"], "name the file after its study: STUDY.yaml."),
        (
            ["nowhere/mine.yaml"],
            "nowhere/mine.yaml cannot be written: No such file or directory. Choose a file in a folder",
        ),
        (["mine.yaml", "--from", "heads"], "heads: no such study file. Give a path or a name; did you mean 'head'?"),
    ],
)
def test_init_leaves_alone_what_is_there(command: Command, arguments: list[str], message: str) -> None:
    code, out, err = command("init", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert [path.name for path in Path().iterdir()] == ["s.yaml"]
    assert Path("s.yaml").read_text() == TEXT
