"""Templates -> HTML and Markdown with foreign text escaped; files replaced as a whole."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from ablations.reporting.theme import DARK, variable


def html_page(template: str, context: Mapping[str, Any], *, script: str = "") -> str:
    """Render a self-contained page in the report's look; only `script` may run in it.

    Args:
        template: file name of the template; it fills the blocks of `page.html.j2`.
        context: variables of the template.
        script: file name of the page's script; none if empty.
    """
    code = _source(script) if script else ""
    return (
        _html()
        .get_template(template)
        .render(
            context,
            style=Markup(_source("style.css")),  # noqa: S704
            script=Markup(code),  # noqa: S704
            script_hash=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii"),
            colours=[(variable(light), light, dark) for light, dark in DARK.items()],
        )
    )


def markdown_page(template: str, context: Mapping[str, Any]) -> str:
    """Render Markdown for a code host. In the template, `link` marks the report's own addresses and Markdown, `plain` a line of code."""
    return _markdown().get_template(template).render(context, link=_Link, plain=_in_a_block)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole, so a reader never sees half of it. Its folder is created if necessary.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


@cache
def _source(name: str) -> str:
    return files("ablations.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _environment(*, autoescape: bool, finalize: Callable[[Any], Any] | None = None) -> Environment:
    return Environment(
        loader=FunctionLoader(_source),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _html() -> Environment:
    environment = _environment(autoescape=True, finalize=coded)
    environment.filters["breakable"] = breakable
    environment.filters["plain"] = plain
    return environment


_CODE = re.compile(r"`([\w.:/=+-](?:[\w.:/=+, -]*[\w.:/=+-])?)`")
"""A name, key or command in a sentence."""


def coded(value: Any) -> Any:
    """Text as HTML, its names in backticks as code; every other value as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(value))))  # noqa: S704


def breakable(text: str) -> Markup:
    """A name as HTML; lines break after `_` and `.` rather than anywhere else."""
    return Markup(_JOINT.sub(r"\1<wbr>", str(escape(text))))  # noqa: S704


def plain(text: str) -> Markup:
    """Text for a title or an attribute: escaped, without marks for names."""
    return escape(text.replace("`", ""))


_JOINT = re.compile(r"(?<=\w)(_|\.(?=\D))(?=\w)")


@cache
def _markdown() -> Environment:
    # Markdown has no autoescape: everything a template prints goes through `escaped_markdown`.
    return _environment(autoescape=False, finalize=escaped_markdown)


class _Link(str):
    """One of the report's own addresses, or Markdown that is escaped already."""

    __slots__ = ()


def _in_a_block(text: str) -> _Link:
    """A line of a block of code, which it cannot end."""
    return _Link(" ".join(text.split()).replace("`", ""))


_SIGNS = str.maketrans({sign: f"\\{sign}" for sign in "\\`*[]|~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore at the edge of a word, where it could mean emphasis; inside a word it never does."""
_BLOCK = re.compile(r"^(\d*)([-+#=.)])(?=[-+#=\s]|$)")
"""The start of a list, a heading or a rule."""


def escaped_markdown(value: Any) -> str:
    """Escape text for Markdown, on one line: no markup, HTML, table cell or mathematics in it takes effect.

    Only names in backticks stay code.
    """
    if isinstance(value, _Link):
        return value
    # Every second part is a name in backticks.
    parts = _CODE.split(" ".join(str(value).split()))
    text = "".join(f"`{part}`" if place % 2 else _escaped(part) for place, part in enumerate(parts))
    return _BLOCK.sub(r"\1\\\2", text)


def _escaped(text: str) -> str:
    return _UNDERSCORE.sub(r"\_", text.translate(_SIGNS))
