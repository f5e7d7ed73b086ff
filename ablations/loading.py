"""YAML file -> StudySpec. Errors say file:line:column, the key path, the rule, what was given, and the nearest valid key."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ablations.spec import SpecError, StudySpec, nearest, spec_errors

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NODES = 100_000
"""A study file is written by hand: beyond these it is a mistake or an attack (alias bombs count by what they expand to)."""


class StudyFileError(ValueError):
    """A study file that cannot be used; the message is complete and for people."""


@dataclass(frozen=True)
class StudyFile:
    """A study file that was read: its text, what it says, and where it says it."""

    path: str
    text: str
    spec: StudySpec
    root: yaml.MappingNode

    def located(self, error: SpecError) -> StudyFileError:
        """The same error, with the file, line and column in front."""
        return _located(self.path, self.root, error)


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of version 1.2's core schema: `no` and `on` are text and `1e-5` is a number."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    digits = loader.construct_scalar(node)
    if len(digits) > 18:
        raise SpecError((), f"a whole number has at most 18 digits; given {len(digits)}")
    return int(digits)  # version 1.1 would read 010 as eight


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def find(reference: str) -> Path:
    """The study file that `reference` means: a path, or the name of a study that ships with the suite.

    Raises:
        StudyFileError: there is no such file.
    """
    path = Path(reference)
    if path.is_file():
        return path
    shipped = {file.stem: file for file in shipped_studies()}
    # `studies/one_by_one.yaml` works from any folder, as the documentation writes it.
    name = path.stem if path.suffix in {".yaml", ".yml", ""} else ""
    if name in shipped and path.parent in {Path(), Path("studies")}:
        return shipped[name]
    kind = "is a folder, not a study file" if path.is_dir() else "no such study file"
    raise StudyFileError(
        f"{reference}: {kind}. Give a path, or a study that ships with the suite: {nearest(name, shipped)}"
    )


def shipped_studies() -> list[Path]:
    """The study files that ship with the suite, from the installed package or the checkout."""
    packaged = Path(str(importlib.resources.files("ablations"))) / "_studies"
    folder = packaged if packaged.is_dir() else Path(__file__).parent.parent / "studies"
    return sorted(folder.glob("*.yaml"))


def load(path: Path) -> StudyFile:
    """Read and check a study file.

    Raises:
        StudyFileError: it cannot be read, is no YAML, or breaks a rule of the study file.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise StudyFileError(f"{path}: a study file has at most {MAX_BYTES:,} bytes; this one has {size:,}.")
        data = path.read_bytes()
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise StudyFileError(
            f"{path}:{line}: a study file is UTF-8 text; byte {error.start} is {data[error.start]:#04x}. Save it as UTF-8."
        ) from error
    return parse(text, str(path))


def parse(text: str, name: str) -> StudyFile:
    """Check the text of a study file; `name` stands in messages.

    Raises:
        StudyFileError: it is no YAML, or breaks a rule of the study file.
    """
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        problem = error.problem or error.context or "cannot be read"
        hint = " Indent with spaces." if "\\t" in problem else ""
        raise StudyFileError(f"{where}: not valid YAML: {problem}.{hint}") from error
    except yaml.YAMLError as error:
        raise StudyFileError(f"{name}: not valid YAML: {' '.join(str(error).split())}.") from error
    except RecursionError as error:
        raise StudyFileError(f"{name}: nested more than {MAX_DEPTH} deep.") from error
    if root is None:
        raise StudyFileError(f"{name}: the file is empty. A study file starts with 'study: <name>'.")
    if not isinstance(root, yaml.MappingNode):
        raise StudyFileError(f"{name}:1:1: a study file is a mapping that starts with 'study: <name>'.")
    try:
        _check_tree(root)
        values = _Loader("").construct_document(root)
        spec = StudySpec.model_validate(values)
    except SpecError as error:
        raise _located(name, root, error) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise StudyFileError(f"{where}: {error.problem}.") from error
    except ValidationError as error:
        raise StudyFileError(
            "\n".join(str(_located(name, root, each)) for each in spec_errors(error, StudySpec))
        ) from error
    return StudyFile(name, text, spec, root)


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _check_tree(root: yaml.Node) -> None:
    """Refuse duplicate keys, keys that are no text, and trees too deep or too large once aliases are expanded."""
    count = 0
    stack: list[tuple[yaml.Node, tuple[str, ...]]] = [(root, ())]
    while stack:
        node, path = stack.pop()
        count += 1
        if count > MAX_NODES:
            raise SpecError((), f"more than {MAX_NODES:,} values, aliases expanded.")
        if len(path) > MAX_DEPTH:
            raise SpecError(path[:3], f"nested more than {MAX_DEPTH} deep.")
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, yaml.Node] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise SpecError(path, "a key is text; given a list or a mapping.")
                if key.value in seen:
                    first = seen[key.value].start_mark.line + 1
                    raise SpecError(
                        (*path, key.value),
                        f"key given twice, first in line {first}, again in line {key.start_mark.line + 1}; keep one.",
                        at_key=True,
                    )
                seen[key.value] = key
                stack.append((value, (*path, key.value)))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((value, (*path, str(index))) for index, value in enumerate(node.value))


def _located(name: str, root: yaml.Node, error: SpecError) -> StudyFileError:
    node, key, shown = root, root, []
    for part in error.path:
        step = _step(node, part)
        if step is not None:
            key, node = step
            shown.append(part)
    # A long value is pointed at by its key: its first line says nothing.
    mark = (node if isinstance(node, yaml.ScalarNode) and not error.at_key else key).start_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}"
    keys = ".".join(str(part) for part in shown)
    return StudyFileError(f"{where}: {keys + ': ' if keys else ''}{error.problem}")


def _step(node: yaml.Node, part: Hashable) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        # The last of two equal keys: the one that a duplicate-key error is about.
        return next(((key, value) for key, value in reversed(node.value) if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
