"""`report`: reports, from the tracking store alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ablations.analysis.summary import StudySummary
from ablations.commands.messages import warn
from ablations.commands.recorded import all_recorded, recorded_study, warn_of_waiting
from ablations.errors import StoreAwayError, TrackingError, UserError
from ablations.reporting.index import Unreadable, write_index
from ablations.reporting.render import description, write_report
from ablations.session import look
from ablations.terminal.answers import answer_lines
from ablations.text import timestamp
from ablations.tracking.layout import MAX_TAG_CHARACTERS
from ablations.tracking.publish import publish
from ablations.tracking.store import Address, Store


def report(store: Store, studies: Sequence[str], profile: str | None, output: Path) -> None:
    """Write the reports of recorded studies.

    Args:
        store: holds them.
        studies: names or files; none: all of the store.
        profile: of the runs; None: all profiles, or for one study the only one.
        output: folder of the reports.

    Raises:
        AblationsError: a named study cannot be reported, or none can.
    """
    one = [recorded_study(store, studies[0], profile)] if len(studies) == 1 else []
    _report_all(one or all_recorded(store, studies, profile), output, is_named=bool(studies))


def folder_of(output: Path, address: Address) -> Path:
    """Folder of the report of a study."""
    return output / address.study / address.profile


def write(store: Store, summary: StudySummary, folder: Path, created: str) -> Path:
    """Write a report, and show it in MLflow.

    Args:
        store: of the summary.
        summary: of the study.
        folder: of the report.
        created: its timestamp.

    Returns:
        The page.

    Raises:
        UserError: it cannot be written. If only the store cannot be written to, this warns.
    """
    try:
        page = write_report(summary, folder, created=created)
    except OSError as error:
        raise UserError(
            f"the report cannot be written to {folder}: {error.strerror}. All records are kept; name another folder with --output."
        ) from error
    try:
        publish(store, summary, description(summary, max_characters=MAX_TAG_CHARACTERS), folder)
    except TrackingError as error:
        warn(f"the report is in {folder}, and not in MLflow: {error}")
    return page


def index(output: Path, unreadable: Sequence[Unreadable], created: str) -> Path:
    """Write the index of a folder of reports.

    Args:
        output: the folder.
        unreadable: studies without a report, to be listed with the reason.
        created: its timestamp.

    Returns:
        The page.

    Raises:
        UserError: it cannot be written.
    """
    try:
        return write_index(output, unreadable, created)
    except OSError as error:
        raise UserError(
            f"the index cannot be written to {output}: {error.strerror}. Name another folder with --output."
        ) from error


def _report_all(addresses: Sequence[Address], output: Path, *, is_named: bool) -> None:
    """Write the reports, and the index of all that lie in the folder; it also names unreadable studies."""
    num_written, unreadable = 0, []
    created = timestamp()
    for address in addresses:
        try:
            summary = _summary(address)
        except StoreAwayError:
            raise
        except TrackingError as error:
            if is_named and len(addresses) == 1:
                raise
            unreadable.append(Unreadable(address.study, address.profile, str(error)))
            continue
        num_written += 1
        page = write(address.store, summary, folder_of(output, address), created)
        for line in answer_lines(summary) if len(addresses) == 1 else ():
            print(line)
        print(f"report: {page}", flush=True)
    print(f"index: {index(output, unreadable, created)}")
    reasons = [f"no report of {each.study} at profile {each.profile}: {each.reason}" for each in unreadable]
    if reasons and (is_named or not num_written):
        raise UserError("\n".join(reasons))
    for reason in reasons:
        warn(reason)


def _summary(address: Address) -> StudySummary:
    warn_of_waiting(address)
    return look(address)
