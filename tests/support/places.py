"""Where things are in the checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
"""This folder, on PYTHONPATH of processes that import from it."""
FAULTY = SUPPORT / "faulty"
"""On PYTHONPATH it causes the faults that FAULTS names."""
SHARED_FASHION_MNIST = ROOT.parent / "shared" / "datasets" / "FashionMNIST" / "raw"
"""The published archives, beside some checkouts."""
