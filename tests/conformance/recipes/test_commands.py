"""`jaxinit record` and `jaxinit show`, as a user runs them."""

from pathlib import Path

import pytest

import jaxinit as library
from tests.conformance.command import jaxinit

MODEL = """
import torch

def build():
    layer = torch.nn.Linear(64, 10)
    torch.nn.init.normal_(layer.weight, std=0.02)
    return layer

def odd():
    layer = build()
    layer.bias.data.exponential_()
    return layer

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the working directory."""
    name = f"module_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_model_is_recorded_and_shown(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert jaxinit(["record", f"{module}:build", "--out", "recipe.json"]) == 0
    assert "2 parameters; 650 entries in parameters, initialized in 2 ways, recorded in" in capsys.readouterr().out
    recipe = library.Recipe.from_json(Path("recipe.json").read_text())
    assert jaxinit(["show", "recipe.json"]) == 0
    assert capsys.readouterr().out == f"{recipe}\n"
    assert "weight     (10, 64)  float32  Linear  N(0, 0.02²)" in str(recipe)


def test_constants_are_kept_when_asked_for(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert jaxinit(["record", f"{module}:odd"]) == 2
    assert "bias: Tensor.exponential_ at" in capsys.readouterr().err
    assert jaxinit(["record", f"{module}:odd", "--constants", "allow"]) == 0
    assert library.Recipe.from_json(Path("recipe.json").read_text()).parameters[1].name == "bias"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["record", "no_such_module:build"],
            "BUILD must be package.module:name, got 'no_such_module:build': No module",
        ),
        (
            ["record", "{module}:number"],
            "BUILD must be the package.module:name of a function, got '{module}:number', <class",
        ),
        (["record", "{module}:absent"], "BUILD must be package.module:name"),
        (["record", "{module}:build", "--out", "absent/recipe.json"], "--out must be a file that can be written to"),
        (["show", "absent.json"], "cannot read absent.json: No such file or directory"),
        (["show", "{module}.py"], "`text` must be JSON"),
        (["show", "numbers.bin"], "cannot read numbers.bin: it is not a recipe of `jaxinit record`"),
    ],
)
def test_what_cannot_run_says_so_in_one_line(
    module: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("numbers.bin").write_bytes(b"\xff")
    assert jaxinit([each.format(module=module) for each in arguments]) == 2
    error = capsys.readouterr().err
    assert message.format(module=module) in error
    assert error.count("\n") == 1
