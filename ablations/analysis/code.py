"""The code of the packages that register networks: did it change while their version numbers did not?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ablations.networks import RegisteredModel
from ablations.planning.plan import Plan
from ablations.text import plural
from ablations.trial import RecordedTrial

PACKAGE_CODE = "package_code"
"""Key of a training session and of a report's provenance: packages with the digests of their code."""

TrainedCode = Mapping[str, Mapping[str, int]]
"""Package, such as "my-networks 1.0" -> digest of its code -> number of trials trained with this code."""

_REMEDY = "raise the package's version number, install it, and run the study again"


def network_packages(plan: Plan) -> set[str]:
    """Packages that register the plan's networks, such as "my-networks 1.0"."""
    return {network.version for network in plan.networks if isinstance(network, RegisteredModel)}


def trained_code(
    plan: Plan, trials: Iterable[RecordedTrial], sessions: Mapping[str, Mapping[str, Any]]
) -> dict[str, Counter[str]]:
    """The code that trained these trials. Sessions of an earlier version of the suite recorded no code.

    A variant's own network counts, and the study's data set.

    Args:
        plan: of the trials.
        trials: recorded ones.
        sessions: descriptions of training sessions by their id.
    """
    found: dict[str, Counter[str]] = {}
    networks = network_packages(plan)
    for trial in trials:
        code = sessions.get(trial.session or "", {}).get(PACKAGE_CODE)
        own = getattr(plan[trial.variant].config.model, "version", None)
        for package, digest in code.items() if isinstance(code, Mapping) else ():
            if package == own or package not in networks:
                found.setdefault(package, Counter())[str(digest)] += 1
    return found


def in_provenance(trained: TrainedCode) -> dict[str, Any]:
    """The code as a report shows it: one digest per package, or each with its number of trials."""
    shown = {
        package: next(iter(digests))
        if len(digests) == 1
        else [f"{digest} ({plural(count, 'trial')})" for digest, count in sorted(digests.items())]
        for package, digests in sorted(trained.items())
    }
    return {PACKAGE_CODE: shown} if shown else {}


def mixed_code(plan: Plan, provenance: Mapping[str, Any]) -> Iterator[str]:
    """Warn if trials of one version of a package were trained with different code.

    The code of data sets may change: their images are held to a checksum.
    """
    for package, digest in provenance.get(PACKAGE_CODE, {}).items():
        if isinstance(digest, list) and package in network_packages(plan):
            yield (
                f"{package}: its code changed between trials, and its version number did not (see Provenance). No trial is trained "
                f"again. To train all with the same code, {_REMEDY}."
            )


def replaced_code(trained: TrainedCode, installed: Mapping[str, str]) -> Iterator[str]:
    """Warn if trials were trained with other code than is installed now, under the same version number.

    Args:
        trained: code of the recorded trials.
        installed: package of a network -> digest of its code, as installed here.
    """
    for package, digest in installed.items():
        count = sum(number for other, number in trained.get(package, {}).items() if other != digest)
        if count:
            were = "was" if count == 1 else "were"
            yield (
                f"{package}: {plural(count, 'recorded trial')} {were} trained with other code than the installed one, and the version "
                f"number is the same. They are not trained again. To train them with the installed code, {_REMEDY}."
            )
