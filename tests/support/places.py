"""Places in the checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
"""This folder, on PYTHONPATH of processes that import from it."""
FAULTY = SUPPORT / "faulty"
"""Folder for PYTHONPATH, to cause the faults in FAULTS."""
SHARED_FASHION_MNIST = ROOT.parent / "shared" / "datasets" / "FashionMNIST" / "raw"
"""Folder with the published archives; only some checkouts have it."""
