"""Text of a new study."""

from __future__ import annotations

import re
from pathlib import Path

from ablations.studyfile.loading import StudyFile
from ablations.studyfile.schema import SCHEMA_FILE

TEMPLATE = Path(__file__).with_name("template.yaml")
"""A commented study to start from."""
_HEAD = re.compile(r"\A(?:# (?:yaml-language-server:|python -m ablations run ).*\n)*")
"""First lines about the file rather than the study."""


def copied(file: StudyFile, path: Path) -> str:
    """Text of a copy of a study file, named after its new path; comments stay as written."""
    name = next(value for key, value in file.root.value if key.value == "study")
    text = file.text[: name.start_mark.index] + path.stem + file.text[name.end_mark.index :]
    return f"# yaml-language-server: $schema={SCHEMA_FILE}\n# python -m ablations run {path}\n{_HEAD.sub('', text)}"
