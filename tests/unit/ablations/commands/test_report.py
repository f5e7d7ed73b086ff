"""`report`: of one study, of several, with their index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commandline import Command, outdate


def reports(*names: str) -> str:
    """What a command says that wrote these reports."""
    return "".join(f"report: reports/{name}/index.html\n" for name in names)


INDEX = "index: reports/index.html\n"


@pytest.mark.usefixtures("store")
def test_all_that_is_recorded_is_reported_with_an_index(command: Command) -> None:
    expected = reports("other/starter", "tiny/short", "tiny/starter") + INDEX
    assert command("report") == (0, expected, "")
    links = _links()
    assert links == ["other/starter/index.html", "tiny/short/index.html", "tiny/starter/index.html"]
    assert all((Path("reports") / link).is_file() for link in links)


@pytest.mark.usefixtures("store")
def test_several_studies_are_reported_in_their_order_at_every_profile(command: Command) -> None:
    expected = reports("tiny/short", "tiny/starter", "other/starter") + INDEX
    assert command("report", "s.yaml", "other") == (0, expected, "")


@pytest.mark.usefixtures("store")
def test_a_profile_keeps_to_that_profile(command: Command) -> None:
    assert command("report", "--profile", "starter")[1] == reports("other/starter", "tiny/starter") + INDEX
    one = "report: one/tiny/short/index.html\nindex: one/index.html\n"
    assert command("report", "--profile", "short", "--output", "one") == (0, one, "")


@pytest.mark.usefixtures("store")
def test_one_study_at_several_profiles_needs_one_of_them(command: Command) -> None:
    message = "error: tiny is recorded at several profiles; choose one with --profile: short, starter\n"
    assert command("report", "tiny") == (2, "", message)
    assert command("report", "tiny", "-p", "short") == (0, reports("tiny/short") + INDEX, "")


@pytest.mark.usefixtures("store")
def test_the_index_of_one_report_leads_to_the_others_of_the_folder(command: Command) -> None:
    assert command("report", "tiny", "-p", "short") == (0, reports("tiny/short") + INDEX, "")
    assert _links() == ["tiny/short/index.html"]
    assert command("report", "other") == (0, reports("other/starter") + INDEX, "")
    assert _links() == ["other/starter/index.html", "tiny/short/index.html"]


def _links() -> list[str]:
    return re.findall(r'href="(.*?/index\.html)"', Path("reports/index.html").read_text())


def test_a_study_that_cannot_be_read_stops_no_other(command: Command, store: str) -> None:
    outdate(store, "other/starter")
    reason = "the plan of other/starter was recorded by another version of the suite, or edited."
    code, out, err = command("report")
    assert (code, out) == (0, reports("tiny/short", "tiny/starter") + INDEX)
    assert err.startswith(f"warning: no report of other at profile starter: {reason}")
    assert reason in Path("reports/index.html").read_text()

    code, out, err = command("report", "tiny", "other")
    assert (code, out) == (2, reports("tiny/short", "tiny/starter") + INDEX)
    assert err.startswith(f"error: no report of other at profile starter: {reason}")


def test_the_one_study_that_was_named_and_cannot_be_read_is_an_error(command: Command, store: str) -> None:
    outdate(store, "other/starter")
    code, out, err = command("report", "other")
    assert (code, out) == (2, "")
    assert err.startswith("error: the plan of other/starter was recorded by another version of the suite, or edited.")


def test_no_report_at_all_is_an_error(command: Command, store: str) -> None:
    for experiment in ("other/starter", "tiny/starter"):
        outdate(store, experiment)
    code, out, err = command("report", "--profile", "starter")
    assert (code, out) == (2, INDEX)
    assert err.count("recorded by another version of the suite") == 2


@pytest.mark.usefixtures("store")
def test_nothing_is_reported_if_a_named_study_is_not_there(command: Command) -> None:
    code, out, err = command("report", "tiny", "tinny", "--profile", "starter")
    assert (code, out) == (2, "")
    told = "holds no study 'tinny' at profile 'starter'; did you mean 'tiny'? No study file has this name, either; give the path"
    assert told in err
    assert not Path("reports").exists()
