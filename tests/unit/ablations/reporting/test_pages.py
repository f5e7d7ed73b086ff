"""Escaped names in HTML and Markdown."""

from __future__ import annotations

import pytest

from ablations.reporting.pages import breakable, coded, escaped_markdown, plain


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("none_wide", "none_wide"),
        ("_x_ and *y*", r"\_x\_ and \*y\*"),
        ("a|b `c d $d$", r"a\|b \`c d \$d\$"),
        ("`none_wide` beat `two`.", "`none_wide` beat `two`."),
        ("`a|b` and `<b>`", r"\`a\|b\` and \`&lt;b&gt;\`"),
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


def test_attributes_and_titles_have_no_markup() -> None:
    assert plain('"`x`" <b>') == "&#34;x&#34; &lt;b&gt;"


def test_breakable_names() -> None:
    assert breakable("train.lr = 0.05, <a_b>") == "train.<wbr>lr = 0.05, &lt;a_<wbr>b&gt;"


def test_names_in_backticks_are_code_and_all_else_is_escaped() -> None:
    assert coded("`none_wide` < `two`") == "<code>none_wide</code> &lt; <code>two</code>"
    assert coded("`<b>` `") == "`&lt;b&gt;` `"
    assert coded(coded("`x`")) == "<code>x</code>"
    assert coded(3) == 3
