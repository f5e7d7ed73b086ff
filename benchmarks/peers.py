"""The alternatives to this suite, each in a separate process: d2l's Trainer, Lightning, and a plain loop.

`benchmarks.train` starts them. All train unchanged networks of `nin` with plain SGD and torch's default number of threads, on
torchvision's Fashion-MNIST with Resize and ToTensor. d2l's loader has its default of 4 workers. The other loaders have one worker
per core, kept from epoch to epoch, as torch and Lightning recommend.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ablations.costs import images_for
from ablations.execution.environment import num_cores
from nin.config import Config
from nin.model import build
from nin.presets import PRESETS

BATCH_SIZE = 128
LEARNING_RATE = 0.05
PEERS = {"d2l": ("fp32",), "lightning": ("fp32", "bf16"), "plain loop": ("fp32", "bf16")}
"""Each peer with the precisions that it can be switched to."""


@dataclass(frozen=True)
class Network:
    """A network for all trainers."""

    config: Config
    size: int
    """Side of the images in pixels."""
    steps: int
    """Steps of a segment. All rounds together have fewer than an epoch's 468, so that no segment holds the end of an epoch."""
    quick_steps: int


NETWORKS = {
    "nin_book": Network(PRESETS["nin_book"], 224, steps=4, quick_steps=1),
    "nin_small": Network(PRESETS["nin_small"], 28, steps=60, quick_steps=30),
    "nin_small without normalization": Network(
        replace(PRESETS["nin_small"], normalization="none"), 28, steps=60, quick_steps=30
    ),
}


def main() -> None:
    """Train with one peer until killed; write its images per second after each segment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    chosen = parser.parse_args()
    on_step = Segments(chosen.steps, torch.device(chosen.device))
    network = NETWORKS[chosen.network]
    model = build(network.config, images_for(chosen.network, "fashion_mnist", network.size))
    train = {"d2l": _d2l, "lightning": _lightning, "plain loop": _plain}[chosen.peer]
    train(model, network.size, chosen.precision, chosen.device, chosen.data_dir.resolve(), on_step)


class Segments:
    """Called after each training step: after every `steps` steps, writes images per second and freezes the process group.

    This freezes the loader's workers, too, so that they prepare nothing while another trainer has the machine. SIGCONT to the
    group starts the next segment.
    """

    def __init__(self, steps: int, device: torch.device) -> None:
        self._steps = steps
        self._device = device
        self._out = sys.stdout
        sys.stdout = sys.stderr  # a trainer's own messages
        self._done = 0
        self._started = time.perf_counter()

    def __call__(self) -> None:
        self._done += 1
        if self._done % self._steps:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        print(self._steps * BATCH_SIZE / (time.perf_counter() - self._started), file=self._out, flush=True)
        os.killpg(0, signal.SIGSTOP)
        self._started = time.perf_counter()


def _d2l(model: nn.Module, size: int, precision: str, device: str, data_dir: Path, on_step: Callable[[], None]) -> None:
    """As in chapter 8.3 of the book, but without the drawing of curves, which needs a notebook."""
    from d2l import torch as d2l

    class NiN(d2l.Classifier):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.lr = LEARNING_RATE
            self.net = model
            self.board.display = False

        def training_step(self, batch: Any) -> torch.Tensor:
            # One step ends where the next begins.
            if self.trainer.train_batch_idx:
                on_step()
            loss: torch.Tensor = super().training_step(batch)
            return loss

    # d2l reads its data from ../data.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").symlink_to(data_dir)
        (Path(folder) / "chapter").mkdir()
        os.chdir(Path(folder) / "chapter")
        data = d2l.FashionMNIST(batch_size=BATCH_SIZE, resize=(size, size))
        network = NiN()
        network.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
        d2l.Trainer(max_epochs=10, num_gpus=int(device == "cuda")).fit(network, data)


def _lightning(
    model: nn.Module, size: int, precision: str, device: str, data_dir: Path, on_step: Callable[[], None]
) -> None:
    import lightning

    class NiN(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def training_step(self, batch: Any) -> torch.Tensor:
            images, labels = batch
            return F.cross_entropy(self.net(images), labels)

        def on_train_batch_end(self, *arguments: Any) -> None:
            on_step()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)

    trainer = lightning.Trainer(
        max_epochs=10,
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(NiN(), _loader(size, device, data_dir))


def _plain(
    model: nn.Module, size: int, precision: str, device: str, data_dir: Path, on_step: Callable[[], None]
) -> None:
    model = model.to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    loader = _loader(size, device, data_dir)
    while True:
        for images, labels in loader:
            images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
                loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            on_step()


def _loader(size: int, device: str, data_dir: Path) -> torch.utils.data.DataLoader[Any]:
    from torchvision import transforms
    from torchvision.datasets import FashionMNIST

    transform = transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()])
    return torch.utils.data.DataLoader(
        FashionMNIST(str(data_dir), train=True, transform=transform),
        BATCH_SIZE,
        shuffle=True,
        num_workers=num_cores(),
        persistent_workers=True,
        pin_memory=device == "cuda",
    )


if __name__ == "__main__":
    main()
