"""Networks that packages register: how a study names, turns, counts and refuses them. No package is imported before."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path

import packages
import pytest
from builders import edited, planned, refusal

from ablations import cli, networks, registry
from ablations.networks import RegisteredModel
from ablations.planning.plan import Plan
from nin import complexity, presets
from nin.config import ConfigError
from nin.images import Input

OWN = """
from dataclasses import dataclass
from typing import Literal

from torch import nn

import nin
from nin.complexity import Costs
from nin.config import ConfigError
from nin.model import Network


@dataclass(frozen=True)
class Own(Network):
    '''The small NiN, as if it were somebody's own.'''

    mixers: int = 2
    sides: tuple[int, ...] = (5, 3)
    act: Literal["relu", "gelu"] = "relu"
    width: float = 0.25
    breaks: bool = False
    narrow: bool = False

    def __post_init__(self):
        if self.mixers > 3:
            raise ConfigError("mixers", f"must be at most 3, it is {self.mixers}")
        if self.narrow and self.width > 1:
            raise ValueError("too wide")
        if self.mixers < 0:
            raise ZeroDivisionError("none at all")

    def build(self, *, in_channels, size, num_classes):
        if self.breaks:
            raise RuntimeError("it breaks")
        if self.act == "gelu":
            return nn.Conv2d(in_channels, num_classes, 1)
        return nin.create("nin_small", in_channels=in_channels, size=size, num_classes=num_classes, mixers=self.mixers, width=self.width)

    def costs(self, **shape):
        return {(): Costs(7, 0, 7), (1,): None}[self.sides] if len(self.sides) < 2 else super().costs(**shape)


OWN = Own()
CLASS = Own
NUMBER = 3


@dataclass(frozen=True)
class Reserved(Own):
    version: str = "a dial"


@dataclass(frozen=True)
class Wrong(Own):
    mixers: int = 2.5


@dataclass(frozen=True)
class Nested(Own):
    stages: tuple[object, ...] = ({"channels": 3},)


RESERVED, WRONG, NESTED = Reserved(), Wrong(), Nested()
"""

STUDY = edited(
    ("preset: nin_small", "preset: own"),
    ("{set: {model.mixers: 1}, expect: worse}", "{set: {model.mixers: 1}}"),
)


@pytest.fixture
def own(site: Path) -> Path:
    """A package that registers a network, and things that are none."""
    (site / "own_package.py").write_text(OWN)
    register(site)
    return site


def register(site: Path, name: str = "own-package", version: str = "1.0", **entries: str) -> None:
    names = ("own", "class", "number", "reserved", "wrong", "nested")
    entries = entries or {each: f"own_package:{each.upper()}" for each in names} | {
        "missing": "own_package:MISSING",
        "absent": "no_such_module:X",
        "lenet": "own_package:OWN",
        "Bad.Name": "own_package:OWN",
    }
    packages.register(site, name, version, {networks.GROUP: entries})


def test_a_study_plans_with_it_as_with_one_of_the_suites_own(own: Path) -> None:
    plan = planned(STUDY)
    assert plan["two"].costs == complexity.costs(
        presets.configure("nin_small", {"width": 0.25}), Input(in_channels=1, size=16, num_classes=4)
    )
    model = plan["one"].config.model
    assert isinstance(model, RegisteredModel)
    assert (model.preset, model.version) == ("own", "own-package 1.0")
    assert networks.dials(model) == {
        "mixers": 1,
        "sides": (5, 3),
        "act": "relu",
        "width": 0.25,
        "breaks": False,
        "narrow": False,
    }
    assert plan["wide"].changes["model.width"] > 0.25
    assert plan.workload("two").memory is None


def test_what_it_is_travels_as_data(own: Path) -> None:
    plan = planned(STUDY)
    again = Plan.from_json(json.dumps(plan.to_json()))
    assert (again, again.id) == (plan, plan.id)
    spec = plan.trial("one", "confirm", 0, {"train.lr": 0.05})
    assert pickle.loads(pickle.dumps(spec)).id == spec.id
    assert b"own_package" not in pickle.dumps(spec)
    assert spec.config.to_json()["model"] == {
        "kind": "RegisteredModel",
        "preset": "own",
        "version": "own-package 1.0",
        "mixers": 1,
        "sides": (5, 3),
        "act": "relu",
        "width": 0.25,
        "breaks": False,
        "narrow": False,
    }


def test_prints_of_it_are_not_on_standard_output(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "own_package.py").write_text(
        OWN.replace("import nin\n", "import nin\nprint('imported')\n", 1)
        .replace("def __post_init__(self):", "def __post_init__(self):\n        print('turned')")
        .replace("num_classes):", "num_classes):\n        print('built')")
    )
    register(site)
    model = networks.configure("own", {"mixers": 1})
    images = Input(in_channels=1, size=16, num_classes=4)
    networks.costs(model, images)
    networks.layer_table(model, images)
    said, warned = capsys.readouterr()
    assert said == ""
    assert {"imported", "turned", "built"} <= set(warned.split())


def test_another_version_is_another_network(own: Path) -> None:
    spec = planned(STUDY).trial("one", "confirm", 0, {"train.lr": 0.05})
    shutil.rmtree(own / "own_package-1.0.dist-info")
    register(own, version="1.1")
    for each in (registry._entry_points, registry.find, networks._registered):
        each.cache_clear()
    assert planned(STUDY).trial("one", "confirm", 0, {"train.lr": 0.05}).id != spec.id
    assert isinstance(spec.config.model, RegisteredModel)
    with pytest.raises(
        ConfigError,
        match=r"the plan has own of own-package 1.0, but own-package 1.1 is installed; install own-package 1.0",
    ):
        _ = spec.config.model.network


def test_a_network_whose_package_is_gone_names_the_package() -> None:
    gone = RegisteredModel("gone", "own-package 1.0", ())
    with pytest.raises(
        ConfigError, match=r"the plan has gone of own-package 1.0, but no installed package registers it; install"
    ):
        networks.costs(gone, Input(in_channels=1, size=8, num_classes=4))


def test_nothing_is_imported_that_no_study_names(own: Path) -> None:
    planned()
    assert "own" in networks.names()
    assert "own_package" not in sys.modules
    planned(STUDY)
    assert "own_package" in sys.modules


def test_a_name_of_the_suites_own_stays_its_own(own: Path) -> None:
    assert networks.configure("lenet", {}) == presets.PRESETS["lenet"]
    assert networks.names().count("lenet") == 1


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("preset: own", "preset: ownn"), "s.yaml:5:19: base.model.preset: no preset 'ownn'; did you mean 'own'?"),
        (("preset: own", "preset: Bad.Name"), "s.yaml:5:19: base.model.preset: no preset 'Bad.Name'; known here: "),
        (("preset: own", "preset: own_package"), "s.yaml:5:19: base.model.preset: no preset 'own_package'; "),
        (("preset: own", "preset: class"), "s.yaml:5:19: base.model.preset: class of own-package 1.0 must be an instance of a frozen dataclass"),
        (("preset: own", "preset: number"), "s.yaml:5:19: base.model.preset: number of own-package 1.0 must be an instance of a frozen dataclass"),
        (("preset: own", "preset: missing"), "s.yaml:5:19: base.model.preset: missing cannot be imported: own-package 1.0 registers own_package:MISSING; AttributeError"),
        (("preset: own", "preset: absent"), "s.yaml:5:19: base.model.preset: absent cannot be imported: own-package 1.0 registers no_such_module:X; ModuleNotFoundError"),
        (("preset: own", "preset: reserved"), "s.yaml:5:19: base.model.preset: reserved of own-package 1.0 has a dial named 'version', which is reserved; rename it."),
        (("preset: own", "preset: wrong"), "s.yaml:5:19: base.model.preset: wrong of own-package 1.0 has a default that breaks its own rules: mixers: must be an integer; it is 2.5."),
        (("preset: own", "preset: nested"), "s.yaml:5:19: base.model.preset: nested of own-package 1.0 has a default that breaks its own rules: a dial must be a finite number, text, "),
        (("{model.mixers: 1}", "{model.mixrs: 1}"), "s.yaml:14:15: variants.one.set.model.mixrs: unknown key 'model.mixrs'; did you mean 'model.mixers'?"),
        (("{model.mixers: 1}", "{model.mixers: true}"), "s.yaml:14:29: variants.one.set.model.mixers: must be an integer; it is True."),
        (("{model.mixers: 1}", "{model.sides: [5, x]}"), "s.yaml:14:15: variants.one.set.model.sides: must be a list, each entry an integer; it is [5, 'x']."),
        (("{model.mixers: 1}", "{model.act: tanh}"), "s.yaml:14:26: variants.one.set.model.act: must be one of relu, gelu; it is 'tanh'."),
        (("{model.mixers: 1}", "{model.mixers: 4}"), "s.yaml:14:29: variants.one.set.model.mixers: must be at most 3, it is 4."),
        (("{model.mixers: 1}", "{model.mixers: -1}"), "s.yaml:14:9: variants.one.set: own refuses its dials: ZeroDivisionError: none at all (own_package.py:"),
        (("{model.mixers: 1}", "{model.width: .nan}"), "s.yaml:14:9: variants.one.set: own refuses its dials: ValueError: a dial must be a finite number, "),
        (("set: {model.mixers: 0}", "set: {model.mixers: 0, model.narrow: true}"), "s.yaml:16:5: variants.wide.set: build: own cannot be built: ValueError: too wide"),
        (("{model.mixers: 1}", "{model.breaks: true}"), "s.yaml:14:9: variants.one.set: build: own cannot be built: RuntimeError: it breaks (own_package.py:34); images have 16 pixels per side."),
        (("{model.mixers: 1}", "{model.act: gelu}"), "s.yaml:14:9: variants.one.set: build: must give logits of shape (batch, 4); for one image it gives (1, 4, 16, 16); images"),
        (("{model.mixers: 1}", "{model.sides: []}"), "s.yaml:14:9: variants.one.set: costs: own must have params and MACs; counted are Costs(params=7, macs=0, activations=7); images"),
        (("{model.mixers: 1}", "{model.sides: [1]}"), "s.yaml:14:9: variants.one.set: costs: own must have params and MACs; counted are None; images"),
        (("width: 0.25}", "width: 0.25, epochs: 3}"), "s.yaml:5:37: base.model.epochs: unknown key 'model.epochs'; "),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(own: Path, replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement, text=STUDY)).startswith(message)


def test_two_packages_of_one_name_are_told_apart_by_nobody(own: Path) -> None:
    register(own, name="other-package", own="own_package:OWN")
    for each in (registry._entry_points, registry.find):
        each.cache_clear()
    assert (
        "own is registered by several packages: other-package 1.0, own-package 1.0; uninstall all but one"
        in refusal(STUDY)
    )


def test_a_width_is_solved_only_where_there_is_one(own: Path) -> None:
    (own / "own_package.py").write_text(
        OWN.replace("width: float = 0.25", "wide: float = 0.25").replace("self.width", "self.wide")
    )
    text = edited(("width: 0.25}", "wide: 0.25}"), text=STUDY)
    assert refusal(text).startswith("s.yaml:17:30: variants.wide.match.by: this network has no float dial 'width'")


def test_searched_dials_keep_their_type(own: Path) -> None:
    text = edited(
        ("log: true}\n", "log: true}\n  model.width: {type: categorical, choices: [1, 0.25]}\n"),
        ("    match: {params: two, by: model.width, tolerance: 0.2}\n", ""),
        text=STUDY,
    )
    model = planned(text).trial("one", "tune", 0, {"model.width": 1}).config.model
    assert networks.dials(model)["width"] == 1.0
    assert isinstance(networks.dials(model)["width"], float)


def test_a_stored_plan_with_dials_that_are_none_is_refused(own: Path) -> None:
    stored = planned(STUDY).to_json()
    stored["variants"][0]["config"]["model"]["dials"][0][1] = {"of": "something"}
    with pytest.raises(ValueError, match="a dial must be a finite number, text"):
        Plan.from_json(json.dumps(stored))


def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["ablations", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0), *capsys.readouterr()


def test_it_is_priced_by_its_name(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = command(capsys, monkeypatch, "summary", "own", "--data", "digits", "--size", "16")
    assert (code, err, out.splitlines()[0]) == (0, "", "own, for 1x16x16 images and 10 classes")
    counted = networks.costs(networks.configure("own", {}), Input(in_channels=1, size=16, num_classes=10))
    assert out.split("all ")[1].split()[:2] == [f"{counted.params:,}", f"{counted.macs:,}"]
    code, out, err = command(capsys, monkeypatch, "costs", "own", "lenet", "--json")
    values = json.loads(out)
    assert (code, err, list(values), values["own"]["size"], values["own"]["memory"]) == (
        0,
        "",
        ["own", "lenet"],
        28,
        None,
    )
    for name, told in (
        ("missing", "missing cannot be imported: own-package 1.0 registers own_package:MISSING; AttributeError: "),
        ("ownn", "no network 'ownn'; did you mean 'own'?"),
    ):
        code, out, err = command(capsys, monkeypatch, "summary", name)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {told}")


def test_one_that_cannot_be_built_says_where(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "own_package.py").write_text(OWN + "\nBROKEN = Own(sides=(1, 2, 3), breaks=True)\n")
    register(site, broken="own_package:BROKEN")
    for name in ("summary", "costs"):
        code, out, err = command(capsys, monkeypatch, name, "broken")
        assert (code, out) == (2, "")
        assert "broken cannot be built: RuntimeError: it breaks (own_package.py:" in err
