"""The sentences of a Markdown text, and counts of their words."""

from __future__ import annotations

import re

RELATIVE = {"what", "that", "which", "whose", "whom", "those", "whoever", "whatever", "whichever"}
BANNED = (
    "anew",
    "for want of",
    "of its own",
    "so many",
    "told",
    "whoever",
    "reckoned",
    "likewise",
    "by itself",
    "stands",
    "wants",
)
"""Words that read as translated."""


def prose_of(markdown: str) -> str:
    """The text without blocks and tables, headings, pictures and addresses; inline code counts as one word."""
    text = re.sub(r"```.*?```", " ", markdown, flags=re.DOTALL)
    text = re.sub(r"^(\||#|!\[|<).*$", " ", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "X", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"^\s*([*-]|\d+\.)\s+", "\n\n", text, flags=re.MULTILINE)


def sentences(text: str) -> list[str]:
    """The sentences of a text; two blank lines end one, too."""
    found = re.split(r"(?<=[.!?:;”])\s+(?=[A-Z0-9“*±`])|\n\s*\n", text)
    return [" ".join(each.split()) for each in found if len(each.split()) > 2]


def words_of(text: str) -> list[str]:
    """The words of a text, without numbers and signs."""
    return re.findall(r"[A-Za-z']+", text)


def relative_percent(text: str) -> float:
    """Share of relative words in percent."""
    found = words_of(text)
    return 100 * sum(word.lower() in RELATIVE for word in found) / len(found) if found else 0.0
