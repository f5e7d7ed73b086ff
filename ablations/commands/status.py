"""`status`: how far recorded studies are, whoever runs them."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress

from ablations.analysis.code import replaced_code
from ablations.commands.messages import warn
from ablations.commands.recorded import all_recorded, recorded_study, warn_of_waiting
from ablations.errors import StoreAwayError, StudyFileError, TrackingError, UserError
from ablations.networks import installed_code
from ablations.studyfile.loading import find
from ablations.terminal.consoles import plain_console, print_prose
from ablations.terminal.grid import print_progress, sign_of_life, total
from ablations.text import in_words, printable
from ablations.tracking.lock import held_by
from ablations.tracking.reader import StoredProgress, read_progress
from ablations.tracking.store import Address, Store


def status(store: Store, study: str, profile: str | None) -> None:
    """Print how far a recorded study is, and the command to continue with.

    Args:
        store: holds it.
        study: name or file.
        profile: of the run; None if it is recorded at one only.

    Raises:
        AblationsError: it is not recorded, or the store cannot be used.
    """
    address = recorded_study(store, study, profile)
    stored = read_progress(address)
    holder = held_by(address)
    if holder is None:
        if not _may_run_elsewhere(address, stored):
            stored.progress.stopped()
        warn_of_waiting(address)
    console = plain_console()
    print_prose(printable(f"{address.study}, profile {address.profile}: {stored.progress.plan.question}"), console)
    print_progress(stored.progress, console)
    for text in replaced_code(stored.code, installed_code(stored.progress.plan.networks)):
        warn(text)
    for trouble in stored.troubles:
        console.print(printable(trouble.sentence), soft_wrap=True)
    print(printable(_next_step(study, address, stored, holder)))


def status_of_all(store: Store, profile: str | None) -> None:
    """Print a line per recorded study; an unreadable one stops no other.

    Args:
        store: holds them.
        profile: of the runs; None: all profiles.

    Raises:
        AblationsError: the store cannot be used, or no study can be read.
    """
    addresses = all_recorded(store, [], profile)
    reasons = []
    for address in addresses:
        try:
            stored = read_progress(address)
        except StoreAwayError:
            raise
        except TrackingError as error:
            reasons.append(f"no status of {address}: {error}")
            continue
        state = ""
        if held_by(address):
            state = "runs"
        elif _may_run_elsewhere(address, stored):
            state = f"may run elsewhere, last heard of {in_words(time.time() - stored.heard_ms / 1000)} ago"
        else:
            stored.progress.stopped()
        done = f"{address.study}, profile {address.profile}: {total(stored.progress)}"
        print(", ".join(filter(None, (done, state))))
    if len(reasons) == len(addresses):
        raise UserError("\n".join(reasons))
    for reason in reasons:
        warn(reason)


def _next_step(study: str, address: Address, stored: StoredProgress, holder: str | None) -> str:
    """The last line: who runs the study, or how to continue."""
    at = f"--profile {address.profile}{address.store.option}"
    again = _continue_command(study, stored, address)
    progress = stored.progress
    if holder is not None:
        return f"it is being run by {holder}"
    if _may_run_elsewhere(address, stored):
        alive = sign_of_life(progress, stored.since_ms, stored.heard_ms, time.time_ns() // 1_000_000)
        return f"{alive} If that run was killed, continue with: {again}"
    num_failed = progress.count("failed")
    if progress.num_done < progress.num_trials or num_failed:
        # A run leaves alone the trials that were given up.
        num_given_up = sum(trouble.num_given_up for trouble in stored.troubles)
        only_given_up = progress.num_done == progress.num_trials and num_failed == num_given_up
        return f"nothing runs it now. Continue with: {again}{' --retry' if only_given_up else ''}"
    return f"all is done. Write the report again with: python -m ablations report {address.study} {at}"


def _may_run_elsewhere(address: Address, stored: StoredProgress) -> bool:
    """Whether another machine may run the study, if no process here holds it."""
    # A run of a study whose store is a file here has its lock.
    return stored.state == "RUNNING" and address.store.file is None


def _continue_command(study: str, stored: StoredProgress, address: Address) -> str:
    """The command to continue a recorded study in this store: with the typed file, else as recorded."""
    try:
        find(study)
    except StudyFileError:
        # A run from Python recorded a call, and an edited tag may hold no command at all.
        with suppress(ValueError):
            words = shlex.split(stored.command or "")
            if words[:4] == ["python", "-m", "ablations", "run"]:
                # Older versions took the second of two looks by an option.
                words = [word for word in words if word != "--extend"]
                if "--tracking-uri" in words:
                    # The store may have been moved or copied since.
                    at = words.index("--tracking-uri")
                    del words[at : at + 2]
                # Joined again, so that it is one command whatever the store holds.
                return f"{printable(shlex.join(words))}{address.store.option}"
    flag = " --no-futility" if _had_no_futility(stored) else ""
    return f"python -m ablations run {shlex.quote(study)} --profile {address.profile}{address.store.option}{flag}"


def _had_no_futility(stored: StoredProgress) -> bool:
    """Whether the run that trained last was told to give seeds to futile comparisons, too."""
    with suppress(ValueError):
        return "--no-futility" in shlex.split(stored.command or "")
    return False
