"""Prose on terminals of several widths, and in files."""

from __future__ import annotations

import io

import pytest
import tiny
from builders import CPU
from rich.console import Console

from ablations.terminal.consoles import print_prose
from ablations.terminal.printing import headline

LONG = "a_study_with_a_name_of_some_length_as_people_give"


def printed(text: str, width: int, *, terminal: bool) -> list[str]:
    to = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, markup=False)
    print_prose(text, to)
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_terminal_breaks_no_word_of_the_headline(width: int) -> None:
    text = headline(tiny.plan(study=LONG), CPU, "no CUDA device is here")
    lines = printed(text, width, terminal=True)
    assert len(lines) > 1
    assert max(map(len, lines)) <= width
    assert " ".join(line.strip() for line in lines) == text


def test_in_a_file_a_line_stays_whole() -> None:
    text = headline(tiny.plan(study=LONG), CPU, "no CUDA device is here")
    assert printed(text, 60, terminal=False) == [text]
