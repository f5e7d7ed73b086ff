"""YAML file -> StudySpec. Errors give file:line:column, the key path, the rule, the given value and the nearest valid key."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ablations.errors import KeyPath, Problems, SpecError, StudyFileError
from ablations.paths import expanded
from ablations.studyfile.messages import spec_errors
from ablations.studyfile.salvage import salvaged
from ablations.studyfile.spec import NAME, StudySpec
from ablations.text import nearest, readable

# People write study files by hand: anything larger is a mistake or an attack.
MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NODES = 50_000
"""Values of a file with its aliases expanded, so that alias bombs count in full."""
MAX_DIGITS = 18
MAX_PROBLEMS = 100
"""Problems of a file to report at once; people read no more."""
MAX_MESSAGE = 1000
"""Characters of one problem."""

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class StudyFile:
    """A study file: its text, its content, and the YAML nodes that locate the content in the text."""

    path: str
    text: str
    spec: StudySpec
    root: yaml.MappingNode

    @property
    def is_kept(self) -> bool:
        """Whether the file can be read again later; a pipe cannot."""
        folder = Path(self.path).absolute().parent.resolve()
        # /dev/stdin is a file if one is read from there; /dev/fd is a link to a folder in /proc.
        return Path(self.path).is_file() and folder != Path("/dev") and not folder.is_relative_to("/proc")

    def located(self, errors: Iterable[SpecError]) -> StudyFileError:
        """The same errors and their others by line, each with the file, line and column in front."""
        return _located(self.path, self.root, Problems(errors))


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML beyond the needs of a study file."""


class _Loader(yaml.SafeLoader):
    """Text -> nodes, with the scalars of YAML 1.2's core schema: `no` and `on` are text and `1e-5` is a number.

    Text that could exhaust the machine is refused during reading. So are tags: `_Values` knows all types there are.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._num_nodes = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._num_nodes += 1
        if self._num_nodes > MAX_NODES:
            raise _Refused(problem=f"more than {MAX_NODES:,} values", problem_mark=event.start_mark)
        if self._depth > MAX_DEPTH:
            raise _Refused(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=event.start_mark)
        if getattr(event, "tag", None) is not None:
            tag = readable(event.tag.replace(_TAG, "!!"))
            raise _Refused(problem=f"YAML tags are not allowed; given {tag}", problem_mark=event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_TAG + "int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _TAG + "float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for newline and tab, characters that change the direction of text, and lone surrogates."""


def find(reference: str, others: Iterable[str] = ()) -> Path:
    """The study file at a path, with or without its `.yaml`, or the shipped study of a name; `-` is standard input.

    Args:
        reference: as a user typed it.
        others: more names to suggest in the message.

    Raises:
        StudyFileError: there is no such file.
        UserError: it is in the home folder of nobody.
    """
    path = Path("/dev/stdin") if reference == "-" else expanded(reference)
    try:
        for file in (path, Path(f"{path}.yaml")):
            if file.is_file() or file.is_fifo() or file.is_char_device():
                return file
    except OSError as error:
        raise StudyFileError(f"{readable(reference)}: cannot be read: {error.strerror}.") from error
    shipped = {file.stem: file for file in shipped_studies()}
    # The documentation writes `studies/one_by_one.yaml`, so that works from any folder.
    name = path.stem if path.suffix in {".yaml", ".yml", ""} else ""
    if name in shipped and path.parent in {Path(), Path("studies")}:
        return shipped[name]
    kind = "is a folder, not a study file" if path.is_dir() else "no such study file"
    here = (file.stem for file in sorted(Path().glob("*.yaml")) if NAME.fullmatch(file.stem))
    known = list(dict.fromkeys((*here, *shipped, *others)))
    raise StudyFileError(f"{readable(reference) or 'no name'}: {kind}. Give a path or a name; {nearest(name, known)}")


def shipped_studies() -> list[Path]:
    """The study files of the suite, from the installed package or the checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "_studies"
    folder = packaged if packaged.is_dir() else package.parent / "studies"
    return sorted(folder.glob("*.yaml"))


Check = Callable[[StudySpec], Iterable[SpecError]]
"""More rules for a study whose keys and values are right."""


def _no_more(spec: StudySpec) -> Iterable[SpecError]:
    return ()


def read_file(path: Path, check: Check = _no_more) -> StudyFile:
    """Read and check a study file.

    Args:
        path: of the file.
        check: more rules, for the message of a file that breaks some.

    Raises:
        StudyFileError: it cannot be read, is no YAML, or breaks rules of the study file; it has all of them, by line.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise StudyFileError(f"{path}: a study file may have at most {MAX_BYTES:,} bytes; this one has {size:,}.")
        with path.open("rb") as opened:
            # A pipe has no size, and may have no end.
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise StudyFileError(f"{path}: a study file may have at most {MAX_BYTES:,} bytes; this one has more.")
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = _position(data[: error.start].decode("utf-8-sig"))
        raise StudyFileError(
            f"{path}:{where}: a study file must be UTF-8 text; found byte {data[error.start]:#04x}. Save the file as UTF-8."
        ) from error
    return parse(text, str(path), check)


def parse(text: str, name: str, check: Check = _no_more) -> StudyFile:
    """Check the text of a study file.

    Args:
        text: of the file.
        name: of the file, for messages.
        check: more rules, for the message of a text that breaks some.

    Raises:
        StudyFileError: it is no YAML, or breaks rules of the study file; it has all of them, by line.
    """
    try:
        root = _compose(text)
    except yaml.reader.ReaderError as error:
        where = _position(text[: error.position])
        raise StudyFileError(
            f"{name}:{where}: found the control character U+{error.character:04X}. Remove it."
        ) from error
    except yaml.MarkedYAMLError as error:
        raise StudyFileError(f"{name}:{_yaml_problem(error)}") from error
    if root is None:
        raise StudyFileError(f"{name}: the file is empty. A study file starts with 'study: <name>'.")
    if not isinstance(root, yaml.MappingNode):
        raise StudyFileError(f"{name}:1:1: a study file must be a mapping that starts with 'study: <name>'.")
    problems = Problems()
    try:
        values = _Values(problems).of(root)
    except SpecError as error:
        raise _located(name, root, [error]) from error
    try:
        spec = StudySpec.model_validate(values)
    except ValidationError as error:
        for each in spec_errors(error, StudySpec):
            problems.add(each)
    else:
        if not problems:
            return StudyFile(name, text, spec, root)
    for each in salvaged(values, check):
        problems.add(each)
    raise _located(name, root, problems)


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _position(before: str) -> str:
    """line:column after the text `before`, both from 1."""
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    """Place and problem of an error of PyYAML's."""
    mark = error.problem_mark or error.context_mark
    where = f"{mark.line + 1}:{mark.column + 1}: " if mark else " "
    if isinstance(error, _Refused):
        return f"{where}{error.problem}."
    context = error.context or ""
    if error.context_mark and mark and error.context_mark.line != mark.line:
        context += f" (line {error.context_mark.line + 1})"
    problem = ", ".join(part for part in (context, error.problem) if part)
    hint = next((f" {hint}" for sign, hint in _YAML_HINTS.items() if sign in problem), "")
    return f"{where}not valid YAML: {problem}.{hint}"


_YAML_HINTS = {
    "\\t": "Indent with spaces.",
    "mapping values are not allowed": "Quote text that contains a colon, and indent keys of one mapping equally.",
}
"""Next step by PyYAML's message."""


class _Values:
    """Nodes -> plain values: mappings with text as keys, lists, text, numbers, booleans, null."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._count = 0

    def of(self, node: yaml.Node, path: KeyPath = ()) -> Any:
        """The value of a node; `problems` receives keys that are not text or given twice, and text with control characters.

        Raises:
            SpecError: the tree is too deep or too large once aliases are expanded.
        """
        self._count += 1
        if self._count > MAX_NODES:
            raise SpecError((), f"more than {MAX_NODES:,} values once aliases are expanded.")
        if len(path) > MAX_DEPTH:
            raise SpecError(path[:3], f"nested more than {MAX_DEPTH} deep once aliases are expanded.", at_key=True)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.of(value, (*path, index)) for index, value in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        try:
            return _scalar(node, path)
        except SpecError as error:
            self._problems.add(error)
            return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problems.add(SpecError(path, "a key must be text; given a list or a mapping.", at_key=True))
                continue
            here = (*path, key.value)
            with self._problems.caught():
                _check_key(key, here, lines)
            lines.setdefault(key.value, key.start_mark.line + 1)
            found = self.of(value, here)
            # Refused, and merged all the same: what it would bring is not missing.
            if key.value == "<<" and isinstance(found, dict):
                merged |= found
            else:
                own[key.value] = found
        return merged | own


def _check_key(key: yaml.ScalarNode, here: KeyPath, lines: Mapping[str, int]) -> None:
    """Refuse a key of a mapping; `lines` has the lines of the keys before it."""
    if key.tag != _TAG + "str":
        raise SpecError(here, f"a key must be text; given {key.value or 'nothing'}. Put it in quotes.", at_key=True)
    if key.value == "<<":
        raise SpecError(here, "merge keys are not allowed; write the keys out.", at_key=True)
    _check_text(key, here, at_key=True)
    if key.value in lines:
        again = key.start_mark.line + 1
        problem = f"this key is given twice, in lines {lines[key.value]} and {again}; keep one."
        raise SpecError(here, problem, at_key=True)


def _check_text(node: yaml.ScalarNode, path: KeyPath, *, at_key: bool = False) -> None:
    found = _CONTROL.search(node.value)
    if found:
        raise SpecError(path, f"text must not contain control characters; given U+{ord(found[0]):04X}.", at_key=at_key)


def _scalar(node: yaml.ScalarNode, path: KeyPath) -> str | int | float | bool | None:
    text: str = node.value
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            if len(text) > MAX_DIGITS:
                raise SpecError(path, f"a whole number may have at most {MAX_DIGITS} characters; given {len(text)}.")
            return int(text)  # version 1.1 would read 010 as eight
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    _check_text(node, path)
    return text


def _located(name: str, root: yaml.Node, errors: Iterable[SpecError]) -> StudyFileError:
    """The errors by line, each with its place in front."""
    some = list(islice(errors, MAX_PROBLEMS + 1))
    lines = [
        f"{name}:{line}:{column}: {keys + ': ' if keys else ''}{_capped(problem)}"
        for line, column, keys, problem in sorted(_placed(root, each) for each in some[:MAX_PROBLEMS])
    ]
    return StudyFileError("\n".join(lines + ["… and more; fix these first."] * (len(some) > MAX_PROBLEMS)))


def _placed(root: yaml.Node, error: SpecError) -> tuple[int, int, str, str]:
    """Line and column of an error, both from 1, the keys of the place, and the problem."""
    node, key, shown = root, root, []
    for part in error.path:
        step = _step(node, part)
        if step is not None:
            key, node = step
            shown.append(part)
    # Point at the key of a long value: the first line of the value says nothing.
    mark = (node if isinstance(node, yaml.ScalarNode) and not error.at_key else key).start_mark
    return mark.line + 1, mark.column + 1, ".".join(readable(part) for part in shown), error.problem


def _capped(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def _step(node: yaml.Node, part: Hashable) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        # The last of two equal keys: an error about duplicates means this one.
        return next(((key, value) for key, value in reversed(node.value) if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
