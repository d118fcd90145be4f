"""Ports that are right, and ports with one mistake, which must be found and named."""

import functools
import json
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
import jaxinit_conformance

from ..command import jaxinit as jaxinit_command
from . import models
from .models import DEPTH, INPUTS, LinenPair, Model, TorchModel, TorchPair, images


def build(mistake: str) -> Any:
    return functools.partial(Model, mistake=mistake)


def test_a_right_port_conforms() -> None:
    report = jaxinit_conformance.port(TorchModel, Model, INPUTS)
    assert report.conforms, report.findings
    assert max(each.difference for each in report.outputs) < 1e-6  # flax 0.12.0 normalizes in float32
    assert report.outputs[-1].path == ""
    names = {each.path for each in report.outputs}
    assert {"embed", *(f"blocks.{i}.{name}" for i in range(DEPTH) for name in ("norm", "proj", "down"))} <= names


def test_mistakes_in_what_is_drawn_are_found_and_named() -> None:
    findings = {each.path: each for each in jaxinit_conformance.port(TorchModel, build("fan, bias, scale")).findings}
    assert findings.keys() == {"blocks.0.up.kernel", "blocks.0.up.bias", "blocks.0.proj.kernel"}
    assert "torch draws N(0, 0.02), yours N(0, 0.1" in findings["blocks.0.up.kernel"].message
    assert "the port has no parameter for it" in findings["blocks.0.up.bias"].message
    assert "torch draws N(0, 0.00408), yours N(0, 0.0" in findings["blocks.0.proj.kernel"].message


@pytest.mark.parametrize(
    ("mistake", "path"), [("square", "blocks.0.proj"), ("eps", "blocks.0.norm"), ("heads", "blocks.0.proj")]
)
def test_a_mistake_in_what_is_computed_is_found_and_named(mistake: str, path: str) -> None:
    (finding,) = jaxinit_conformance.port(TorchModel, build(mistake), INPUTS).findings
    assert (finding.kind, finding.path) == ("output", path)
    assert "the first module that differs" in finding.message


def test_an_unexpected_parameter_is_found() -> None:
    report = jaxinit_conformance.port(
        lambda: torch.nn.Linear(8, 4, bias=False),
        lambda rngs: nnx.Linear(8, 4, rngs=rngs, kernel_init=jaxinit.uniform(-(8**-0.5), 8**-0.5)),
    )
    assert [(finding.path, finding.kind) for finding in report.findings] == [("bias", "unexpected")]


def test_layers_with_the_same_numbers_are_found() -> None:
    class Twice(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            key = rngs.params()
            self.a, self.b = (
                nnx.Linear(8, 8, use_bias=False, rngs=nnx.Rngs(key), kernel_init=jaxinit.uniform(-(8**-0.5), 8**-0.5))
                for _ in range(2)
            )

    def torch_build() -> torch.nn.Module:
        return torch.nn.ModuleDict({name: torch.nn.Linear(8, 8, bias=False) for name in "ab"})

    (finding,) = jaxinit_conformance.port(torch_build, Twice).findings
    assert finding.message == "`b.kernel`: drawn with the same numbers as `a.kernel`"


def test_linen_models_are_compared() -> None:
    assert jaxinit_conformance.port(TorchPair, LinenPair, images()).conforms
    report = jaxinit_conformance.port(TorchPair, functools.partial(LinenPair, swapped=True), images())
    assert ("first.bias", "distribution") in [(finding.path, finding.kind) for finding in report.findings]


def test_a_linen_model_needs_inputs() -> None:
    with pytest.raises(ValueError, match="`inputs` must be given for a Linen model"):
        jaxinit_conformance.port(TorchPair, LinenPair)


def test_names_are_renamed_as_load_does() -> None:
    def torch_build() -> torch.nn.Module:
        return torch.nn.ModuleDict({"fc": torch.nn.Linear(8, 4)})

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.dense = nnx.Linear(8, 4, rngs=rngs, **jaxinit.defaults.linear(8))

    jaxinit_conformance.assert_ported(torch_build, Net, rename=[("^fc", "dense")])
    with pytest.raises(AssertionError, match=r"`fc\.weight`"):
        jaxinit_conformance.assert_ported(torch_build, Net, rename={"fc.bias": "dense.bias"})


def test_numbers_from_a_seed_are_asked_for() -> None:
    class Reversed(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.b, self.a = (nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8)) for _ in range(2))

    def torch_build() -> torch.nn.Module:
        return torch.nn.ModuleDict({name: torch.nn.Linear(8, 8) for name in "ab"})

    assert jaxinit_conformance.port(torch_build, Reversed).conforms
    report = jaxinit_conformance.port(torch_build, Reversed, seed=3)
    assert [finding.kind for finding in report.findings] == ["seed"]


def test_a_port_that_applies_init_weights_has_torchs_numbers_from_a_seed() -> None:
    def torch_build() -> torch.nn.Module:
        model = torch.nn.ModuleDict({name: torch.nn.Linear(8, 8) for name in "ab"})
        for layer in model.values():
            assert isinstance(layer, torch.nn.Linear)
            torch.nn.init.xavier_normal_(layer.weight)
        return model

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.a, self.b = (nnx.Linear(8, 8, rngs=rngs) for _ in range(2))

    def build(rngs: nnx.Rngs) -> nnx.Module:
        model = jaxinit.nnx.init(Net, rngs)
        jaxinit.nnx.apply(model, {"**/kernel": jaxinit.xavier_normal()}, rngs)
        return model

    jaxinit_conformance.assert_ported(torch_build, build, seed=3)
    with pytest.raises(AssertionError, match="from torch's seed 3"):
        jaxinit_conformance.assert_ported(torch_build, lambda _: build(nnx.Rngs(torch.seed() % 2**31)), seed=3)


def test_a_linen_model_may_bring_the_function_that_initializes_it() -> None:
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return nn.Dense(8)(x)

    net, x = Net(), np.ones((2, 8), np.float32)
    options: dict[str, Any] = {"inputs": x, "rename": [("^0", "Dense_0")]}
    init = functools.partial(jaxinit.linen.init, net)

    def torch_build() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(8, 8))

    jaxinit_conformance.assert_ported(torch_build, lambda: (net, init), seed=3, **options)
    assert not jaxinit_conformance.port(torch_build, lambda: net, **options).conforms


@pytest.mark.parametrize(
    ("flax_build", "message"),
    [
        (LinenPair(), r"`flax_build` must be a function that builds the model, got <class '.*LinenPair'>"),
        (3, "`flax_build` must be a function that builds the model, got <class 'int'>"),
        (
            lambda: (LinenPair(), 3),
            r"and return a flax.linen.Module, or a pair of it and a function .*, got \(LinenPair",
        ),
        (
            lambda: (LinenPair(), lambda key, x: x),
            "the second of the pair must return the variables of the module, got",
        ),
    ],
)
def test_what_is_not_a_port_is_refused(flax_build: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        jaxinit_conformance.port(TorchPair, flax_build, images())


def test_a_torch_model_that_is_built_is_refused() -> None:
    with pytest.raises(TypeError, match="`torch_build` must be a function that builds the torch module, got <class"):
        jaxinit_conformance.port(TorchPair(), Model)


def test_the_rounding_of_a_badly_conditioned_matrix_is_no_other_seed() -> None:
    """Two QRs of the matrix that torch draws from this seed differ by 2e-4 of the largest entry."""

    def torch_build() -> torch.nn.Module:
        layer = torch.nn.Linear(64, 64, bias=False)
        torch.nn.init.orthogonal_(layer.weight)
        return layer

    def flax_build(rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Linear(64, 64, use_bias=False, kernel_init=jaxinit.orthogonal(), rngs=rngs)

    report = jaxinit_conformance.port(torch_build, flax_build, seed=14154)
    assert not [finding for finding in report.findings if finding.kind == "seed"]


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        jaxinit_conformance.port(lambda: torch.nn.ModuleDict({"fc": torch.nn.Linear(8, 4)}), build(""))


def test_a_report_is_saved(tmp_path: Path) -> None:
    report = jaxinit_conformance.port(TorchPair, functools.partial(LinenPair, swapped=True), images())
    report.save(tmp_path)
    content = json.loads((tmp_path / "port.json").read_text())
    assert content["conforms"] is False
    assert content["findings"][0]["message"] == report.findings[0].message
    page = (tmp_path / "port.html").read_text()
    assert report.verdict in page
    assert "<code>first.bias</code>" in page
    assert page.count(">first.<wbr>bias<") == 2
    assert page.count("<svg") == 1
    assert "first.bias" in (tmp_path / "port.md").read_text()


def test_the_command_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{models.__name__}:{name}" for name in ("TorchPair", "LinenPair", "images")]
    arguments = ["port", *names[:2], "--inputs", names[2], "--out", str(tmp_path)]
    assert jaxinit_command(arguments) == 0
    assert "The port starts as its torch model" in capsys.readouterr().out
    assert (tmp_path / "port.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent_package:build", "absent_package:build"], "TORCH_BUILD must be package.module:name, got 'absent"),
        (["math:sqrt", "math:absent"], "FLAX_BUILD must be package.module:name, got 'math:absent'"),
        (["math:sqrt", "math"], "FLAX_BUILD must be the package.module:name of a function, got 'math', <class 'mod"),
    ],
)
def test_the_command_says_what_it_cannot_find(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jaxinit_command(["port", *arguments]) == 2
    assert words in capsys.readouterr().err


def raises() -> torch.nn.Module:
    raise RuntimeError("no such checkpoint")


def test_the_command_ends_with_2_if_a_model_cannot_be_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert jaxinit_command(["port", f"{__name__}:raises", f"{models.__name__}:Model"]) == 2
    assert "RuntimeError: no such checkpoint" in capsys.readouterr().err


class TorchConv1D(torch.nn.Module):
    """The layer of transformers, whose weight lies as (in, out)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> Any:
        return x @ self.fc.weight + self.fc.bias


class Dense(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.dense = nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.dense(x)


def inputs_of_eight() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)


def test_the_command_renames_and_transposes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pairs.json").write_text('[["^fc[.]", "dense."]]')
    (tmp_path / "wrong.json").write_text('[["^fc[.]"]]')
    names = [f"{__name__}:{name}" for name in ("TorchConv1D", "Dense", "inputs_of_eight")]
    command = ["port", *names[:2], "--inputs", names[2], "--out", str(tmp_path), "--rename"]
    assert jaxinit_command([*command, str(tmp_path / "pairs.json"), "--transposed", "dense.*"]) == 0
    assert jaxinit_command([*command, str(tmp_path / "pairs.json")]) == 1
    assert jaxinit_command([*command, str(tmp_path / "wrong.json")]) == 2
    assert "or a list of pairs of a regular expression and its replacement" in capsys.readouterr().err
