"""Ports to Equinox, each compared with its torch model, and mistakes that are found and named."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
import jaxinit_conformance

from .equinox_ports import gpt2, policy, resnet, scanned, vit
from .ports.gpt2 import INPUTS, TRANSPOSED, TorchGPT2
from .ports.policy import INPUTS as OBSERVATIONS
from .ports.policy import TorchAgent
from .ports.resnet import IMAGES, TorchResNet
from .ports.scanned import INPUTS as SEQUENCES
from .ports.scanned import TorchStack
from .ports.vit import IMAGES as PATCHES
from .ports.vit import TorchViT


@pytest.mark.parametrize(
    ("torch_build", "equinox_build", "inputs", "options"),
    [
        (TorchViT, lambda key: jaxinit.equinox.init(vit.ViT, key), PATCHES, {"seed": 0}),
        (TorchResNet, resnet.build, IMAGES, {"seed": 0}),
        (TorchStack, lambda key: jaxinit.equinox.init(scanned.Stack, key), SEQUENCES, {"seed": 0}),
        (TorchAgent, policy.build, OBSERVATIONS, {}),
        (TorchGPT2, gpt2.build, INPUTS, {"transposed": TRANSPOSED, "rename": gpt2.RENAME}),
    ],
    ids=["ViT", "ResNet-18", "a stack", "PPO", "GPT-2"],
)
def test_a_port_is_its_torch_model(torch_build: Any, equinox_build: Any, inputs: Any, options: Any) -> None:
    report = jaxinit_conformance.port(torch_build, equinox_build, inputs, **options)
    assert report.conforms, report.findings
    assert report.outputs[-1].difference < 1e-6  # attention of jax.nn computes in float32
    assert report.versions["equinox"] == eqx.__version__


class TorchNet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm, self.down = torch.nn.Linear(8, 32), torch.nn.LayerNorm(32), torch.nn.Linear(32, 8)

    def forward(self, x: Any) -> Any:
        return self.down(self.norm(self.up(x)))


class Net(eqx.Module):
    up: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    down: eqx.nn.Linear

    def __init__(self, key: jax.Array, eps: float = 1e-5, bias: bool = True) -> None:
        first, second = jax.random.split(key)
        self.up, self.down = eqx.nn.Linear(8, 32, key=first), eqx.nn.Linear(32, 8, use_bias=bias, key=second)
        self.norm = eqx.nn.LayerNorm(32, eps=eps)

    def __call__(self, x: Any) -> Any:
        return self.down(self.norm(self.up(x)))


X = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)


def test_outputs_of_all_modules_are_compared() -> None:
    report = jaxinit_conformance.port(TorchNet, Net, X)
    assert report.conforms, report.findings
    assert [each.path for each in report.outputs] == ["up", "norm", "down", ""]
    assert max(each.difference for each in report.outputs) < 1e-12
    assert {each.path for each in report.signals if each.quantity == "activations"} == {"up", "norm", "down"}
    assert {each.path for each in report.signals if each.quantity == "gradients"} == {"up.weight", "down.weight"}


def wrong_std(key: jax.Array) -> Net:
    wrong: Net = eqx.tree_at(lambda net: net.up.weight, Net(key), 0.05 * jax.random.normal(key, (32, 8)))
    return wrong


@pytest.mark.parametrize(
    ("build", "kind", "path"),
    [
        (lambda key: Net(key, eps=1e-3), "output", "norm"),
        (lambda key: Net(key, bias=False), "missing", "down.bias"),
        (wrong_std, "distribution", "up.weight"),
    ],
    ids=["eps", "bias", "std"],
)
def test_a_mistake_is_found_and_named(build: Any, kind: str, path: str) -> None:
    first, *_ = jaxinit_conformance.port(TorchNet, build, X).findings
    assert (first.kind, first.path) == (kind, path)


def test_equinoxs_own_defaults_that_are_not_torchs_are_found() -> None:
    report = jaxinit_conformance.port(
        lambda: torch.nn.ModuleDict({"cell": torch.nn.LSTMCell(3, 16), "norm": torch.nn.BatchNorm1d(16)}),
        lambda key: eqx.nn.make_with_state(Recurrent)(key),
    )
    assert {(each.kind, each.path) for each in report.findings} == {
        ("distribution", "cell.bias"),
        ("distribution", "norm.running_var"),
    }


class Recurrent(eqx.Module):
    cell: eqx.nn.LSTMCell
    norm: eqx.nn.BatchNorm

    def __init__(self, key: jax.Array) -> None:
        self.cell, self.norm = eqx.nn.LSTMCell(3, 16, key=key), eqx.nn.BatchNorm(16, "batch", mode="ema")


def test_a_function_of_a_key_must_return_a_model() -> None:
    with pytest.raises(TypeError, match=r"must return an equinox\.Module, or a pair of one and its state, if it takes"):
        jaxinit_conformance.port(TorchNet, lambda key: jnp.zeros(3))
