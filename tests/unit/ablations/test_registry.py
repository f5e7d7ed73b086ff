"""Digests of the code behind registered names, read without importing it."""

from __future__ import annotations

import sys
from pathlib import Path

import packages
import pytest

from ablations import registry

MODELS: registry.Group = "ablations.models"


def register(site: Path, entry: str, name: str = "own-package") -> None:
    packages.register(site, name, "1.0", {MODELS: {"own": entry}})


def write(site: Path, files: dict[str, str]) -> None:
    """Write Python files, by their path without the ending."""
    for name, text in files.items():
        file = site / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def digest() -> str:
    found = registry.code(MODELS, "own")
    assert list(found) == ["own-package 1.0"]
    return found["own-package 1.0"]


def test_the_digest_of_a_module_follows_its_text_and_nothing_is_imported(site: Path) -> None:
    write(site, {"own_module": "raise RuntimeError('imported')", "beside": "x = 1"})
    register(site, "own_module:OWN")
    before = digest()
    write(site, {"beside": "x = 2"})
    assert digest() == before
    write(site, {"own_module": "raise RuntimeError('changed')"})
    assert digest() != before
    assert "own_module" not in sys.modules


def test_the_digest_of_a_package_covers_all_of_its_python_files(site: Path) -> None:
    write(site, {"own/__init__": "", "own/first": "a = 1", "own/deep/second": "b = 1"})
    register(site, "own.first:OWN")
    seen = {digest()}
    (site / "own" / "notes.txt").write_text("no code")
    assert digest() in seen
    for change in ({"own/deep/second": "b = 2"}, {"own/deep/third": ""}, {"own/first": "a = 2"}):
        write(site, change)
        assert digest() not in seen
        seen.add(digest())
    (site / "own" / "first.py").rename(site / "own" / "renamed.py")
    assert digest() not in seen


def test_a_package_inside_of_a_namespace_does_not_answer_for_its_neighbours(site: Path) -> None:
    write(site, {"company/nets/__init__": "", "company/nets/resnet": "a = 1", "company/other/tool": "b = 1"})
    register(site, "company.nets.resnet:OWN")
    before = digest()
    write(site, {"company/other/tool": "b = 2"})
    assert digest() == before
    write(site, {"company/nets/resnet": "a = 2"})
    assert digest() != before


def test_an_editable_package_is_read_where_its_files_are(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "src", {"own/__init__": "a = 1"})
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    register(site, "own:OWN")
    before = digest()
    write(tmp_path / "src", {"own/__init__": "a = 2"})
    assert digest() != before


@pytest.mark.parametrize("entry", ["no_such_module:X", "math:pi", "sys:path", "bad..name:X"])
def test_a_package_without_source_files_has_no_digest(site: Path, entry: str) -> None:
    register(site, entry)
    assert registry.code(MODELS, "own") == {}


def test_a_name_that_no_package_registers_has_no_digest() -> None:
    assert registry.code(MODELS, "nobody_has_this") == {}
