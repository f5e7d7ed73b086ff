"""Facts about each data set, known without reading it: enough to plan, price and name a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ablations import registry
from ablations.errors import RegistrationError

if TYPE_CHECKING:
    import numpy as np

GROUP: registry.Group = "ablations.datasets"


@dataclass(frozen=True)
class Dataset:
    """One data set. Images are square, `channels` x `size` x `size`, unsigned bytes."""

    title: str
    classes: tuple[str, ...]
    """Names of the classes, in the order of their labels."""
    channels: int
    size: int
    num_train: int
    """Images of the training split, validation images included."""
    num_test: int
    checksum: str
    """Checksum of the data, part of every trial's id and verified when the data is read."""
    files_md5: Mapping[str, str] = field(default_factory=dict)
    """MD5 of each file, by its path in the data folder; empty for data sets without files."""
    archives_md5: Mapping[str, str] = field(default_factory=dict)
    """MD5 of each archive that all files are unpacked from, by its path in the data folder."""
    note: str = ""
    """A caveat for readers of a report."""
    read: Callable[[Path, bool], tuple[np.ndarray, np.ndarray]] | None = None
    """Reader of a registered data set: takes the data folder and whether to read the training split (else the test split);
    returns images, unsigned bytes (N, channels, size, size), and labels, integers (N,)."""

    @property
    def num_classes(self) -> int:
        """Number of classes, at most 256."""
        return len(self.classes)

    @property
    def guess_percent(self) -> float:
        """Accuracy of a constant guess, percent, if all classes are equally frequent."""
        return 100 / self.num_classes


class _Known(Mapping[str, Dataset]):
    """The suite's data sets, then registered ones; a package is imported when its data set is asked for."""

    def __init__(self, own: Mapping[str, Dataset]) -> None:
        self._own = own

    def __getitem__(self, name: str) -> Dataset:
        """A data set.

        Raises:
            KeyError: no data set has this name.
            RegistrationError: the registered data set cannot be used.
        """
        if name in self._own:
            return self._own[name]
        found, package = registry.find(GROUP, name)
        if not isinstance(found, Dataset) or found.read is None or not 2 <= found.num_classes <= 256:
            raise RegistrationError(
                f"{name} of {package} must be an ablations.datasets.Dataset with 2 to 256 classes and a function `read`; it is "
                f"{found!a:.80}"
            )
        return found

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in registry.names(GROUP) if name not in self._own)

    def __len__(self) -> int:
        return len(list(iter(self)))


DATASETS: Mapping[str, Dataset] = _Known(
    {
        "fashion_mnist": Dataset(
            title="Fashion-MNIST",
            classes=(
                "T-shirt/top",
                "trouser",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ),
            channels=1,
            size=28,
            num_train=60_000,
            num_test=10_000,
            # The first eight digits of the MD5 of each file, in the order below.
            checksum="md5:f4a8712d-9018921c-8181f547-15d48437",
            # Unpacked from the archives whose MD5s Zalando Research publishes, which torchvision checks.
            files_md5=MappingProxyType(
                {
                    "FashionMNIST/raw/train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                    "FashionMNIST/raw/train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
                    "FashionMNIST/raw/t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
                    "FashionMNIST/raw/t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
                }
            ),
            archives_md5=MappingProxyType(
                {
                    "FashionMNIST/raw/train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                    "FashionMNIST/raw/train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
                    "FashionMNIST/raw/t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
                    "FashionMNIST/raw/t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
                }
            ),
        ),
        "cifar10": Dataset(
            title="CIFAR-10",
            classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
            channels=3,
            size=32,
            num_train=50_000,
            num_test=10_000,
            checksum="md5:c99cafc1-d4bba439-54ebc095-634d1841-482c414d-40351d58-5ff9c542",
            # Unpacked from the archive that the University of Toronto publishes; torchvision knows them, too.
            files_md5=MappingProxyType(
                {
                    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
                    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
                    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
                    "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
                }
            ),
            archives_md5=MappingProxyType({"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"}),
        ),
        "digits": Dataset(
            title="scikit-learn's handwritten digits",
            classes=tuple("0123456789"),
            channels=1,
            size=8,
            # Published without a split. This one is for testing: the more test images, the smaller a difference that they show.
            num_train=797,
            num_test=1_000,
            # Of the two splits, so that trials of other splits have other ids. Until November 2026 it was of the published data, and
            # 360 images were for testing.
            checksum="sha256:232ae6f02113219b-4cbe5298eee31e22",
            note="1,000 test images: one image is 0.1 percentage points.",
        ),
        "synthetic": Dataset(
            title="synthetic bars",
            classes=("vertical, left", "horizontal, top", "vertical, right", "horizontal, bottom"),
            channels=1,
            size=8,
            num_train=256,
            num_test=64,
            checksum="synthetic:1",
            note="Drawn by the suite for its own tests; says nothing about networks.",
        ),
    }
)
"""Data sets by their name in study files; `ablations.execution.loaders` reads them."""


def package_of(name: str) -> str | None:
    """The package of a registered data set, such as "my-networks 1.0"; None for a data set of the suite.

    Raises:
        KeyError: no data set has this name.
        RegistrationError: the registered data set cannot be used.
    """
    return None if DATASETS[name].read is None else registry.find(GROUP, name)[1]


def installed_code(name: str) -> dict[str, str]:
    """The package of a registered data set, with a digest of its source files; empty for a data set of the suite.

    Raises:
        KeyError: no data set has this name.
        RegistrationError: the registered data set cannot be used.
    """
    return {} if DATASETS[name].read is None else registry.code(GROUP, name)
