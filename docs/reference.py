"""Writes reference.md, every key of the study file, from the schema that editors use: python docs/reference.py."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ablations.datasets import DATASETS
from ablations.studyfile.schema import study_schema
from nin.complexity import costs
from nin.presets import INPUTS, PRESETS

HERE = Path(__file__).parent
SECTIONS = (
    ("Study", "", ("study", "question", "source")),
    ("Data", "DataConfig", ()),
    ("Model", "Model", ()),
    ("Train", "TrainConfig", ("base",)),
    ("Search space", "FloatDistribution", ()),
    ("", "IntDistribution", ()),
    ("", "CategoricalDistribution", ("search_space",)),
    ("Tuning", "Tuning", ("tuning", "seeds", "aa_arm")),
    ("Variant", "Variant", ("baseline", "variants")),
    ("Match", "Match", ()),
    ("Decision", "Decision", ("decision",)),
    ("Profile", "Profile", ("profiles",)),
)
"""Heading, definition in the schema, and the keys of the example that stand below it."""
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
}
BOUNDS = {
    "exclusiveMinimum": "above {:,}",
    "minimum": "at least {:,}",
    "exclusiveMaximum": "below {:,}",
    "maximum": "at most {:,}",
    "maxLength": "at most {:,} characters",
}
LINKS = {definition: f"[{heading.lower()}](#{heading.lower()})" for heading, definition, _ in SECTIONS if heading} | {
    "Base": "[data](#data), [model](#model), [train](#train)",
    "SearchSpace": "[search space](#search-space)",
    "TuningOverride": "some of [tuning](#tuning)",
    "Settings": "dotted keys with values",
    "Axes": "dotted keys, each with a list of values",
}


def reference() -> str:
    """The page."""
    schema = study_schema()
    parts = [
        "<!-- Written by docs/reference.py; the docstring below a key says what it means, in ablations/studyfile/, "
        "ablations/trial.py and nin/config.py. -->\n# Every key of a study file",
        "A study is one YAML file. A key that is not on this page is an error, and the message names the nearest one that is. `set`, "
        "`grid`, `zip`, `leave_one_out` and `search_space` write the keys of data, model and train dotted, such as `train.lr`. The "
        "examples are pieces of one file, `docs/every_key.yaml`, which `python -m ablations check` finds right.",
    ]
    for heading, definition, pieces in SECTIONS:
        section = schema["$defs"][definition] if definition else schema
        if heading:
            parts.append(f"## {heading}")
        parts.append(_sentence(section["description"]) if definition else "The keys at the left margin of the file.")
        parts.append(_table(section, dials=definition == "Model"))
        if pieces:
            parts.append(_example(pieces))
    parts += ["## Axes", _AXES, _example(("grid", "zip", "leave_one_out"))]
    parts += ["## Presets", _PRESETS, _presets(), "## Data sets", _data_sets()]
    return "\n\n".join(parts) + "\n"


_AXES = (
    "`grid`, `zip` and `leave_one_out` make variants beside those that have names. Their names are made of the keys and values, such as "
    "`init_default_lr_0_05`. A point that equals a named variant is not run twice."
)
_PRESETS = (
    "Images, params and MACs are those that a preset is made for; `python -m ablations summary PRESET` shows its layers. A preset gives "
    "every dial of its kind a value, so a dial has no default of its own."
)


def _table(section: dict[str, Any], *, dials: bool) -> str:
    rows = [
        f"| `{key}` | {_type(value)} | {_dial(key) if dials else _default(section, key)} | {_sentence(value['description'])} |"
        for key, value in section["properties"].items()
    ]
    title = "in `nin_book`" if dials else "default"
    return "\n".join([f"| key | value | {title} | meaning |", "| --- | --- | --- | --- |", *rows])


def _default(section: dict[str, Any], key: str) -> str:
    return "required" if key in section.get("required", ()) else _shown(section["properties"][key].get("default"))


def _dial(key: str) -> str:
    """What nin_book has."""
    return _shown({"preset": "nin_book", **asdict(PRESETS["nin_book"])}.get(key))


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return LINKS[value["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in value:
        kinds = [_type(each) for each in value["anyOf"] if each != {"type": "null"}]
        return "number, text, true or false" if len(kinds) == 4 else " or ".join(kinds)
    if "patternProperties" in value:
        (each,) = value["patternProperties"].values()
        return f"names, each with a {_type(each)}"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return "a [preset](#presets)" if len(value["enum"]) > 9 else ", ".join(f"`{each}`" for each in value["enum"])
    if value["type"] == "array":
        kind = f"list ({_type(value['items'])})"
    elif "pattern" in value:
        kind = "name: a-z, 0-9 and _"
    else:
        kind = TYPES[value["type"]]
    bounds = [text.format(value[word]) for word, text in BOUNDS.items() if word in value]
    return ", ".join([kind, *bounds])


def _shown(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value}`"


def _sentence(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return text if text.endswith(".") else f"{text}."


def _example(keys: tuple[str, ...]) -> str:
    text = (HERE / "every_key.yaml").read_text(encoding="utf-8")
    found = [re.search(rf"^{key}:.*\n(?:^(?:[ ].*)?\n)*", text, re.MULTILINE) for key in keys]
    return "```yaml\n" + "".join(each[0].rstrip("\n") + "\n" for each in found if each) + "```"


def _presets() -> str:
    rows = []
    for name, config in PRESETS.items():
        priced = costs(config, INPUTS[name])
        images = "x".join(map(str, INPUTS[name].shape))
        rows.append(f"| `{name}` | {images} | {priced.params:,} | {priced.macs:,} |")
    return "\n".join(["| preset | images | params | MACs |", "| --- | --- | ---: | ---: |", *rows])


def _data_sets() -> str:
    rows = [
        f"| `{name}` | {each.title} | {each.channels}x{each.size}x{each.size} | {each.num_classes} | {each.num_train:,} | {each.num_test:,} | "
        f"{each.note} |"
        for name, each in DATASETS.items()
    ]
    return "\n".join(
        [
            "| name | data set | images | classes | to train | to test | note |",
            "| --- | --- | --- | ---: | ---: | ---: | --- |",
            *rows,
        ]
    )


if __name__ == "__main__":
    (HERE / "reference.md").write_text(reference(), encoding="utf-8")
