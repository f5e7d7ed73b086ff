"""Records that protect the error budget: the rules of a study's verdicts, and the looks at its results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ablations.studyfile.spec import Expectation

Closing = Literal["word", "futile", "last look", "not planned"]
"""Why a contrast gets no more seeds: it has its word, a word has become unlikely, no look is left, or it can have none."""


@dataclass(frozen=True)
class PlannedContrast:
    """A comparison of two variants, by their keys and by what was trained, with its prediction."""

    variant_key: str
    versus_key: str
    expect: Expectation | None
    variant: str = ""
    """Its name; empty in looks of older versions, as the fields below."""
    versus: str = ""
    variant_id: str = ""
    """Hash of everything behind the variant's confirmations but the seed; empty until the variant is tuned."""
    versus_id: str = ""

    @property
    def both(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Key and id of the variant, and of the one it is compared with."""
        return (self.variant_key, self.variant_id), (self.versus_key, self.versus_id)

    @property
    def sides(self) -> frozenset[str]:
        """Keys and ids of both variants."""
        return frozenset({self.variant_key, self.versus_key, self.variant_id, self.versus_id} - {""})

    def is_same(self, other: PlannedContrast) -> bool:
        """Whether both compare the same configurations, in either direction."""
        mine, others = (
            ({each.variant_id, each.versus_id}, {each.variant_key, each.versus_key}) for each in (self, other)
        )
        return (mine[0] == others[0] and "" not in mine[0]) or mine[1] == others[1]

    def has_names_of(self, other: PlannedContrast) -> bool:
        """Whether both compare variants of the same names."""
        return bool(self.variant) and (self.variant, self.versus) == (other.variant, other.versus)


@dataclass(frozen=True)
class FrozenPlan:
    """The rules of a study's verdicts, recorded before its first confirmation trial."""

    seeds: tuple[int, ...]
    looks: tuple[int, ...]
    """Numbers of seeds at the planned looks."""
    alpha: float
    margin: float
    contrasts: tuple[PlannedContrast, ...]
    """All of them, baseline first in none: their number is K."""
    num_searches: int = 1
    """Number of searches that the seeds are split between."""
    pooled: bool = False
    """Whether the spread of the searches is pooled."""
    data_checksum: str = ""
    """Of the data set; empty in records of older versions."""


@dataclass(frozen=True)
class Finding:
    """What a look found on one contrast."""

    variant: str
    verdict: str
    """Its word, such as "better"."""
    num_pairs: int
    mean: float | None
    """Mean difference, points."""
    sd: float | None
    """Standard deviation of the differences, points."""
    closed: Closing | None
    """None if the contrast gets more seeds at the next look."""


@dataclass(frozen=True)
class Look:
    """A report with a verdict: the contrasts planned by then, and the error budget it spent."""

    seeds: tuple[int, ...]
    alpha: float
    """Error budget spent; 0 if only intervals were shown."""
    margin: float
    contrasts: tuple[PlannedContrast, ...]
    findings: tuple[Finding, ...] = ()
    """On the contrasts that were open; none in looks of older versions."""


@dataclass(frozen=True)
class Ledger:
    """What one study at one profile planned and looked at."""

    study: str
    profile: str
    frozen: tuple[FrozenPlan, ...] = ()
    """The first one first."""
    looks: tuple[Look, ...] = ()
    """The first one first."""

    @property
    def records(self) -> Iterator[FrozenPlan | Look]:
        """Everything that fixes rules; reports without a verdict do not."""
        yield from self.frozen
        yield from (look for look in self.looks if look.alpha)

    def with_records_of(self, other: Ledger) -> Ledger:
        """This ledger with those records of another that it lacks."""
        frozen, looks = (
            tuple(dict.fromkeys((*mine, *others)))
            for mine, others in ((self.frozen, other.frozen), (self.looks, other.looks))
        )
        return Ledger(self.study, self.profile, frozen, looks)
