"""Dials, layers and costs load no torch: a study is checked and planned without it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["config", "images", "layers", "blocks", "heads", "architecture", "complexity", "memory", "presets"]
)
def test_no_torch_is_loaded(module: str) -> None:
    code = f"import sys, nin.{module}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
