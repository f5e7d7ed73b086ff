"""Text -> StudyFile: what YAML may be, and where each error stands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
import yaml
from builders import TEXT, complaint, edited, refusal
from counting import counted
from hypothesis import given, settings
from hypothesis import strategies as st

from ablations.errors import StudyFileError
from ablations.studyfile import loading
from ablations.studyfile.loading import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_PROBLEMS,
    find,
    parse,
    read_file,
    shipped_studies,
)


def loaded(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(StudyFileError) as caught:
        read_file(path)
    return str(caught.value).replace(str(path), "s.yaml")


# Files


@pytest.mark.parametrize(
    "data",
    [TEXT.encode(), b"\xef\xbb\xbf" + TEXT.encode(), TEXT.replace("\n", "\r\n").encode()],
    ids=["plain", "byte-order mark", "Windows line ends"],
)
def test_a_study_file_loads(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    file = read_file(path)
    assert file.spec == parse(TEXT, "s.yaml").spec
    assert file.text.startswith("study: tiny")


def test_the_text_is_kept_as_it_was_written() -> None:
    assert parse(TEXT, "s.yaml").text == TEXT


def test_a_file_is_kept_and_a_pipe_or_a_file_on_standard_input_is_not(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(TEXT)
    with file.open() as opened:
        assert parse(TEXT, str(file)).is_kept
        assert not parse(TEXT, f"/dev/fd/{opened.fileno()}").is_kept
        assert not parse(TEXT, f"/proc/self/fd/{opened.fileno()}").is_kept
    assert not parse(TEXT, "/dev/stdin").is_kept


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="this system has no folder in memory")  # noqa: S108
def test_a_file_in_a_folder_in_memory_is_kept() -> None:
    with NamedTemporaryFile(dir="/dev/shm", suffix=".yaml") as file:
        assert parse(TEXT, file.name).is_kept


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "s.yaml: the file is empty. A study file starts with 'study: <name>'."),
        (b"# nothing\n", "s.yaml: the file is empty. A study file starts with 'study: <name>'."),
        (
            "study: tïny".encode("latin-1"),
            "s.yaml:1:9: a study file must be UTF-8 text; found byte 0xef. Save the file as UTF-8.",
        ),
        (
            b"study: tiny\nquestion: \xff",
            "s.yaml:2:11: a study file must be UTF-8 text; found byte 0xff. Save the file as UTF-8.",
        ),
        (
            TEXT.encode("utf-16"),
            "s.yaml:1:1: a study file must be UTF-8 text; found byte 0xff. Save the file as UTF-8.",
        ),
        (b"a: x\nb: \x00", "s.yaml:2:4: found the control character U+0000. Remove it."),
        (b"#" * (MAX_BYTES + 1), "s.yaml: a study file may have at most 1,000,000 bytes; this one has 1,000,001."),
    ],
    ids=["empty", "comment only", "latin-1", "broken UTF-8", "UTF-16", "NUL", "too large"],
)
def test_a_file_that_is_no_study_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    assert loaded(tmp_path / "s.yaml", data) == message


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="cannot be read: Is a directory"):
        read_file(tmp_path)
    with pytest.raises(StudyFileError, match="cannot be read: No such file or directory"):
        read_file(tmp_path / "missing.yaml")


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.yaml"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    monkeypatch.setattr(Path, "open", lambda self, mode: pytest.fail("it was read"))
    with pytest.raises(StudyFileError, match="this one has 10,000,000,000"):
        read_file(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(StudyFileError, match="may have at most 1,000,000 bytes; this one has more"):
        read_file(find("/dev/zero"))


# Finding


def test_a_path_is_found(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(TEXT)
    assert find(str(path)) == path


@pytest.mark.parametrize("reference", ["one_by_one", "one_by_one.yaml", "studies/one_by_one.yaml"])
def test_a_shipped_study_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_file(find(reference)).spec.study == "one_by_one"


def test_a_study_of_this_folder_comes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "one_by_one.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    assert read_file(find("studies/one_by_one.yaml")).spec.study == "tiny"


@pytest.mark.parametrize("name", ["mine", "one_by_one"])
def test_a_study_of_this_folder_is_found_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.yaml").write_text(TEXT)
    assert read_file(find(name)).spec.study == "tiny"
    with pytest.raises(StudyFileError, match=f"did you mean '{name}'"):
        find(f"{name}e")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("one_by_on", "one_by_on: no such study file. Give a path or a name; did you mean 'one_by_one'?"),
        ("x/one_by_one.yaml", "x/one_by_one.yaml: no such study file. Give a path or a name; did you mean"),
        ("nin_bok", "nin_bok: no such study file. Give a path or a name; did you mean 'nin_book'?"),
        (".", ".: is a folder, not a study file. Give a path or a name; known here: "),
        ("", "no name: is a folder, not a study file."),
        ("a\0b", "a\\x00b: no such study file."),
        ("a" * 5000, "a" * 77 + "...: cannot be read: File name too long."),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(reference: str, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        find(reference, ["nin_book"])
    assert str(caught.value).startswith(message)


# YAML


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (
            ("  data: {", "\tdata: {"),
            "s.yaml:4:1: not valid YAML: while scanning for the next token, found character '\\t' that cannot start any "
            "token. Indent with spaces.",
        ),
        (
            ("resize: 16}", "resize: 16"),
            "s.yaml:5:8: not valid YAML: while parsing a flow mapping (line 4), expected ',' or '}', but got ':'.",
        ),
        (
            ("question: Does", "question: So: does"),
            "s.yaml:2:13: not valid YAML: mapping values are not allowed here. Quote text that contains a colon, and "
            "indent keys of one mapping equally.",
        ),
        (
            ("question: Does", 'question: "Does'),
            "s.yaml:24:1: not valid YAML: while scanning a quoted scalar (line 2), found unexpected end of stream.",
        ),
        (
            ("seeds: 2", "seeds: 2\n---\nseeds: 3"),
            "s.yaml:11:1: not valid YAML: expected a single document in the stream (line 1), but found another document.",
        ),
        (
            ("{set: {model.mixers: 1}, expect", "{set: *s, expect"),
            "s.yaml:14:14: not valid YAML: found undefined alias 's'.",
        ),
        (("Does", "\x07Does"), "s.yaml:2:11: found the control character U+0007. Remove it."),
        (("Does", '"\\x1b[31m" # '), "s.yaml:2:11: question: text must not contain control characters; given U+001B."),
        (("Does", '"\\ud800" # '), "s.yaml:2:11: question: text must not contain control characters; given U+D800."),
        (("Does", '"\\u202e" # '), "s.yaml:2:11: question: text must not contain control characters; given U+202E."),
        (("Does", "\u2066Does"), "s.yaml:2:11: question: text must not contain control characters; given U+2066."),
        (("question", '"a\\x1bb"'), "s.yaml:2:1: a\\x1bb: text must not contain control characters; given U+001B."),
        (
            ("seeds: 2", "seeds: 2\nseeds: 3"),
            "s.yaml:11:1: seeds: this key is given twice, in lines 10 and 11; keep one.",
        ),
        (
            ("  one: {", "  two: {"),
            "s.yaml:14:3: variants.two: this key is given twice, in lines 13 and 14; keep one.",
        ),
        (("  two:\n", "  2:\n"), "s.yaml:13:3: variants.2: a key must be text; given 2. Put it in quotes."),
        (("  two:\n", "  1e3:\n"), "s.yaml:13:3: variants.1e3: a key must be text; given 1e3. Put it in quotes."),
        (("  two:\n", "  true:\n"), "s.yaml:13:3: variants.true: a key must be text; given true. Put it in quotes."),
        (("  two:\n", "  null:\n"), "s.yaml:13:3: variants.null: a key must be text; given null. Put it in quotes."),
        (
            ("{model.mixers: 1}", "{1: 1}"),
            "s.yaml:14:15: variants.one.set.1: a key must be text; given 1. Put it in quotes.",
        ),
        (("  two:\n", "  ? [a]\n  :\n"), "s.yaml:12:1: variants: a key must be text; given a list or a mapping."),
        (
            ("    set: {model.mixers: 0}", "    set: &s {<<: {model.mixers: 0}}"),
            "s.yaml:16:14: variants.wide.set.<<: merge keys are not allowed; write the keys out.",
        ),
        (
            ("seeds: 2", "seeds: 1234567890123456789"),
            "s.yaml:10:8: seeds: a whole number may have at most 18 characters; given 19.",
        ),
    ],
)
def test_what_yaml_may_not_be(replacement: tuple[str, str], message: str) -> None:
    # A lost key or variant is missing, too.
    assert message in refusal(edited(replacement)).splitlines()


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch owned']",
        "!!python/name:os.system",
        "!!binary aGVsbG8=",
        "!!binary 'é'",
        "!!timestamp 'abc'",
        "!!int 'abc'",
        "!!float 'abc'",
        "!!bool abc",
        "!!set {a}",
        "!!omap [a: 1]",
        "!mine x",
        "! x",
    ],
)
def test_tags_are_refused(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tag = value.split()[0]
    assert refusal(edited(("study: tiny", f"study: {value}"))) == f"s.yaml:1:8: YAML tags are not allowed; given {tag}."
    assert not list(tmp_path.iterdir())


def test_a_mapping_is_wanted() -> None:
    for text in ("null", "- a", "hello", "12"):
        assert refusal(text) == "s.yaml:1:1: a study file must be a mapping that starts with 'study: <name>'."


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("=", "="),
        ("'12'", "12"),
        ("12", 12),
        ("010", 10),
        ("+7", 7),
        ("-7", -7),
        ("1e-5", 1e-5),
        ("1.5E3", 1500.0),
        (".5", 0.5),
        ("2.", 2.0),
        ("-.Inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, value: object) -> None:
    got = parse(edited(("mixers: 1}", f"mixers: {written}}}")), "s.yaml").spec.variants["one"].set["model.mixers"]
    assert got == value
    assert type(got) is type(value)


def test_not_a_number_is_a_number() -> None:
    got = parse(edited(("mixers: 1}", "mixers: .nan}")), "s.yaml").spec.variants["one"].set["model.mixers"]
    assert got != got


def test_anchors_stand_for_what_they_name() -> None:
    text = edited(
        ("one: {set: {model.mixers: 1}", "one: {set: &set {model.mixers: 1}"),
        ("    set: {model.mixers: 0}", "    set: *set"),
    )
    assert parse(text, "s.yaml").spec.variants["wide"].set == {"model.mixers": 1}


# Exhaustion

_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
_WIDE = f"a: &a [{'x,' * 1000}]\nb: [{'*a,' * (MAX_NODES // 1000 + 1)}]"
_CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} {'[' * 40}*a{n - 1}{']' * 40}\n" for n in range(1, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_BOMB, f"s.yaml:1:1: more than {MAX_NODES:,} values once aliases are expanded."),
        (_WIDE, f"s.yaml:1:1: more than {MAX_NODES:,} values once aliases are expanded."),
        (_CHAIN, f"s.yaml:3:11: a2.0.0: nested more than {MAX_DEPTH} deep once aliases are expanded."),
        ("a: &a [*a]", f"s.yaml:1:4: a.0.0: nested more than {MAX_DEPTH} deep once aliases are expanded."),
        (
            "&a\nstudy: *a",
            f"s.yaml:2:1: study.study.study: nested more than {MAX_DEPTH} deep once aliases are expanded.",
        ),
        ("a: " + "[" * 10_000 + "]" * 10_000, f"s.yaml:1:54: nested more than {MAX_DEPTH} deep."),
        ("a: " + "{a: " * 10_000 + "}" * 10_000, f"s.yaml:1:201: nested more than {MAX_DEPTH} deep."),
        ("\n".join(" " * depth + "a:" for depth in range(1_000)), f"s.yaml:51:51: nested more than {MAX_DEPTH} deep."),
        ("[" * 900_000, f"s.yaml:1:52: nested more than {MAX_DEPTH} deep."),
        ("- " * 450_000, f"s.yaml:1:103: nested more than {MAX_DEPTH} deep."),
        ("a: [" + "x," * 450_000 + "]", f"s.yaml:1:99999: more than {MAX_NODES:,} values."),
        ("a: " + "1" * 900_000, "s.yaml:1:4: a: a whole number may have at most 18 characters; given 900000."),
    ],
    ids=[
        "bomb",
        "wide by aliases",
        "chain",
        "self",
        "self as root",
        "flow",
        "flow map",
        "block",
        "unclosed",
        "dashes",
        "wide",
        "digits",
    ],
)
def test_what_would_exhaust_the_machine_is_refused_at_once(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed, valued = (
        counted(monkeypatch, loading._Loader, "compose_node"),
        counted(monkeypatch, loading._Values, "of"),
    )
    assert message in refusal(text).splitlines()
    assert max(len(composed), len(valued)) <= MAX_NODES + 1


def test_many_problems_are_cut_short_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = counted(monkeypatch, loading, "_placed")
    lines = refusal(TEXT + "".join(f"k{n}: 1\n" for n in range(12_000))).splitlines()
    assert len(placed) <= MAX_PROBLEMS + 1
    assert lines[0].startswith("s.yaml:24:1: k0: unknown key 'k0'")
    assert lines[MAX_PROBLEMS:] == ["… and more; fix these first."]


def test_messages_stay_short() -> None:
    long = "x" * 10_000
    for text in (
        edited(("study: tiny", f"study: {long}")),
        edited(("preset: nin_small", f"preset: {long}")),
        edited(("mixers: 1}", f"mixers: [{'1,' * 5_000}]}}")),
        edited(("baseline: two", f"baseline: {long}")),
        edited(("  two:\n", f"  ? {'x' * 1000}\n  :\n")),
        edited(("params: two", f"params: {long}")),
        edited(("question", f"? {long}\n")),
        edited(("type: float", f"type: {long}")),
    ):
        message = refusal(text)
        assert len(message) < 1_300
        assert message.count("\n") < 2


# Whatever the text, an answer

_SHIPPED = [path.read_text() for path in shipped_studies()]
_LINES = [text.splitlines() for text in [TEXT, *_SHIPPED]]
_PIECES = st.sampled_from(
    [
        "two: ",
        "{}",
        "[]",
        "null",
        "no",
        "-1",
        "0",
        "1e-5",
        ".nan",
        ".inf",
        "99999999999",
        "'1'",
        "model.mixers: 1",
        "set: ",
        "&a",
        "*a",
        "<<: ",
        "- ",
        "\t",
        "? ",
        "!!int 3",
        "é",
        "名",
        "\\",
        '"',
        "'",
        "#",
        "|",
        ">",
        "%",
        "@",
        ": ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "train.lr: ",
        "profiles: ",
        "match: ",
        "choices: [1]",
        "when: {train.lr: 1}",
    ]
) | st.text(max_size=6)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A study's text with a few lines deleted, doubled, moved, swapped, or with a piece written into them."""
    lines = list(draw(st.sampled_from(_LINES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        match draw(st.sampled_from(["delete", "double", "move", "join", "replace", "insert", "drop"])):
            case "delete" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, line)
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "join" if at:
                lines[at - 1 : at + 1] = [lines[at - 1] + line]
            case "replace":
                lines[at] = draw(_PIECES)
            case "insert":
                place = draw(st.integers(0, len(line)))
                lines[at] = line[:place] + draw(_PIECES) + line[place:]
            case _:
                place = draw(st.integers(0, max(0, len(line) - 1)))
                lines[at] = line[:place] + line[place + draw(st.integers(1, 8)) :]
    return "\n".join(lines) + "\n"


@given(mutated())
@settings(max_examples=200, deadline=None)
def test_a_mutated_study_is_planned_or_refused_with_its_line(text: str) -> None:
    message = complaint(text) or "s.yaml:1:1: accepted"
    assert re.match(r"s\.yaml:[0-9]+:[0-9]+: |s\.yaml: the file is empty", message)
    assert len(message.splitlines()) <= MAX_PROBLEMS + 1


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)


@given(_VALUES, st.data())
@settings(max_examples=100, deadline=None)
def test_any_value_in_any_place_is_planned_or_refused_with_its_line(value: object, data: st.DataObject) -> None:
    place = tree = yaml.safe_load(TEXT)
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = value
    message = complaint(yaml.safe_dump(tree, allow_unicode=True)) or "s.yaml:1:1: accepted"
    assert re.match(r"s\.yaml:[0-9]+:[0-9]+: ", message)


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "replace")))
@settings(max_examples=100, deadline=None)
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(StudyFileError):
        parse(text, "s.yaml")


@pytest.mark.parametrize("path", shipped_studies(), ids=lambda path: path.stem)
def test_every_shipped_study_can_be_planned(path: Path) -> None:
    assert complaint(path.read_text()) is None
