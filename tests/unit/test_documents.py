"""The texts about the code name places that exist, and agree with it."""

from __future__ import annotations

import re
import tomllib

import pytest
from places import ROOT

import ablations

TEXTS = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
BASES = [ROOT, ROOT / "ablations"]
"""Where a text's paths begin."""
WRITTEN = ("build/", "summary.json", "ledger.json")
"""Not in the checkout: commands write them."""


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _paths(text: str) -> list[str]:
    """Files and folders that a text names as code: `trial.py`, `tests/unit`, `stats/`."""
    text = re.sub(r"```diff\n.*?```", "", text, flags=re.DOTALL)
    code = " ".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))
    return re.findall(r"(?<![\w./-])[\w.][\w./-]*(?:/|\.(?:cff|json|md|py|sh|toml|txt|yaml|yml))(?![\w/])", code)


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_and_folder_that_a_text_names_exists(name: str) -> None:
    paths = [path for path in _paths(_read(name)) if not path.startswith(WRITTEN)]
    assert [path for path in paths if not any((base / path).exists() for base in BASES)] == []


@pytest.mark.parametrize("name", [*TEXTS, "CHANGELOG.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", _read(name))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_every_room_has_a_row() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", _read("ARCHITECTURE.md").split("## How imports run")[0], re.MULTILINE)
    named = {path.rstrip("/") for row in rows for path in re.findall(r"`([^`]+)`", row)}
    rooms = {
        path.name
        for path in (ROOT / "ablations").iterdir()
        if not path.name.startswith("__") and (path.suffix == ".py" or (path / "__init__.py").is_file())
    }
    assert rooms - named == set()


def test_the_layers_are_those_that_import_linter_holds() -> None:
    contracts = tomllib.loads(_read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    assert "```\n" + "\n".join(layers) + "\n```" in _read("ARCHITECTURE.md")


def test_the_version_is_the_same_everywhere() -> None:
    citation = _read("CITATION.cff")
    [cited] = re.findall(r"^version: (.+)$", citation, re.MULTILINE)
    [date] = re.findall(r"^date-released: (.+)$", citation, re.MULTILINE)
    assert cited == ablations.__version__
    assert f"## [{cited}] - {date}\n" in _read("CHANGELOG.md")
