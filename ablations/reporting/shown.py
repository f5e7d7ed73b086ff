"""A written report, as a notebook shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import escape


@dataclass(frozen=True)
class ReportPage:
    """The page of a report; a notebook shows it below its cell."""

    path: Path
    """The page, `index.html`, beside its other files."""

    def _repr_html_(self) -> str:
        # In a frame: the page has its own styles and script, and must not meet those of the notebook.
        page = escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe title="Report" srcdoc="{page}" style="width:100%;height:900px;border:0"></iframe>'
