"""Escaped names in HTML and Markdown."""

from __future__ import annotations

import pytest

from ablations.reporting.pages import breakable, escaped_markdown


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("none_wide", "none_wide"),
        ("_x_ and *y*", r"\_x\_ and \*y\*"),
        ("a|b `c` $d$", r"a\|b \`c\` \$d\$"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("1. one\n# two", r"1\. one # two"),
        ("- item", r"\- item"),
        ("-0.5 to +0.5", "-0.5 to +0.5"),
        ("98.00 ± 0.07", "98.00 ± 0.07"),
        (r"\*", r"\\\*"),
    ],
)
def test_escaped_markdown(text: str, escaped: str) -> None:
    assert escaped_markdown(text) == escaped


def test_breakable_names() -> None:
    assert breakable("train.lr = 0.05, <a_b>") == "train.<wbr>lr = 0.05, &lt;a_<wbr>b&gt;"
