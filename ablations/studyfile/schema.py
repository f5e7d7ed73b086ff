"""The study file as a JSON Schema, from the models and their docstrings; editors complete and check with it.

It knows keys, types and bounds. `check` also finds the mistakes of a resolved study.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from ablations import networks, registry
from ablations.datasets import DATASETS
from ablations.studyfile.distributions import is_scale
from ablations.studyfile.spec import StudySpec
from ablations.trial import Section
from nin.blocks import POOLS
from nin.config import ClassicConfig, FeatureConfig, NinConfig
from nin.heads import HEADS

SCHEMA_FILE = "study.schema.json"
"""Name of the schema beside study files; their first line names it."""


def study_schema() -> dict[str, Any]:
    """The schema of a study file.

    It has the names from installed packages, but not the dials of their networks: it imports no package.
    """
    schema: dict[str, Any] = _untitled(StudySpec.model_json_schema(schema_generator=_WithMeanings))
    definitions = schema["$defs"]
    study, profile, variant = schema["properties"], *(definitions[x]["properties"] for x in ("Profile", "Variant"))
    for named in (study["variants"], study["profiles"]):
        named["additionalProperties"] = False
    definitions["DataConfig"]["properties"]["name"]["enum"] = list(DATASETS)
    preset = {"enum": networks.names(), "type": "string"}
    profile["presets"] |= {"propertyNames": preset, "additionalProperties": preset}
    definitions["Model"] = {
        "description": "A network: a preset, with other values for some of its dials.",
        **_of_dials({"preset": {"description": "A network by name.", **preset}, **_dials()}),
    }
    dotted = {
        f"{section}.{key}": _reference(f"{name}/properties/{key}")
        for section, name in (("data", "DataConfig"), ("model", "Model"), ("train", "TrainConfig"))
        for key in definitions[name]["properties"]
    }
    searched = [key for key in dotted if not is_scale(key)]
    distribution = study["search_space"]["additionalProperties"]
    definitions |= {
        "Settings": _of_dials(dotted),
        "Axes": _of_dials({key: {"type": "array", "items": value, "minItems": 1} for key, value in dotted.items()}),
        "SearchSpace": _of_dials(dict.fromkeys(searched, _reference("Distribution"))),
        "Distribution": {"oneOf": distribution["oneOf"]},
    }
    for place, name in (
        (definitions["Base"]["properties"]["model"], "Model"),
        (variant["set"], "Settings"),
        (profile["set"], "Settings"),
        (study["leave_one_out"], "Settings"),
        (study["grid"], "Axes"),
        (study["zip"], "Axes"),
        (study["search_space"], "SearchSpace"),
        (profile["search_space"]["anyOf"][0], "SearchSpace"),
    ):
        kept = {word: place[word] for word in ("description", "default") if word in place}
        place.clear()
        place.update(kept | _reference(name))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "study file", **schema}


class _WithMeanings(GenerateJsonSchema):
    """Pydantic's generator, with the docstrings below the keys as their descriptions."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        for key, meaning in _meanings(schema["cls"]):
            described["properties"][key]["description"] = meaning
        return described


def _mapping(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_dials(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with dials as keys; it allows unknown keys if packages register networks."""
    return _mapping(properties) | {"additionalProperties": bool(registry.names(networks.GROUP))}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _untitled(schema: Any) -> Any:
    """The schema without the titles that pydantic makes from names."""
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if isinstance(schema, dict):
        return {key: _untitled(value) for key, value in schema.items() if key != "title"}
    return schema


def _meanings(model: type[Section]) -> Iterator[tuple[str, str]]:
    """The keys of a section with the docstrings below them."""
    # Pydantic could read them, too, but only at every import of the models.
    for each in reversed(model.__mro__[: model.__mro__.index(Section)]):
        (definition,) = ast.parse(inspect.getsource(each)).body
        assert isinstance(definition, ast.ClassDef)
        for key, below in zip(definition.body, definition.body[1:], strict=False):
            match key, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    yield name, text


def _dials() -> dict[str, dict[str, Any]]:
    """Every dial of any network, described by its class's docstring; it has no default, since presets differ."""
    choices = {"pool_kind": list(POOLS), "head": list(HEADS)}
    found: dict[str, dict[str, Any]] = {}
    for config in (FeatureConfig, NinConfig, ClassicConfig):
        types = get_type_hints(config)
        for dial, meaning in re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", inspect.getdoc(config) or "", re.MULTILINE):
            found[dial] = {
                "description": meaning[0].upper() + " ".join(meaning[1:].split()),
                **TypeAdapter(types[dial]).json_schema(),
                **({"enum": choices[dial]} if dial in choices else {}),
            }
    return found
