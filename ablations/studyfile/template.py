"""The text that a new study starts from."""

from __future__ import annotations

import re
from pathlib import Path

from ablations.studyfile.loading import StudyFile
from ablations.studyfile.schema import SCHEMA_FILE

TEMPLATE = Path(__file__).with_name("template.yaml")
"""A commented study, for those who start from none."""
_HEAD = re.compile(r"\A(?:# (?:yaml-language-server:|python -m ablations run ).*\n)*")
"""First lines that are about the file, not about the study."""


def copied(file: StudyFile, path: Path) -> str:
    """The text of a study file as that of another, which is called as its file is; comments stay as they are written."""
    name = next(value for key, value in file.root.value if key.value == "study")
    text = file.text[: name.start_mark.index] + path.stem + file.text[name.end_mark.index :]
    return f"# yaml-language-server: $schema={SCHEMA_FILE}\n# python -m ablations run {path}\n{_HEAD.sub('', text)}"
