"""What examples of Flax showed, beside models of torch that are not quite their originals."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
import jaxinit_conformance
from jaxinit_conformance.porting.finding import Finding, PortReport

IMAGES = np.random.default_rng(0).normal(size=(2, 1, 6, 6)).astype(np.float32)


class TorchCNN(torch.nn.Module):
    """A convolution without padding, before a layer that has another size in the port."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 4, 3)
        self.fc1, self.fc2 = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.fc2(self.fc1(self.conv2(self.conv1(x)).mean((2, 3))))


class CNN(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        conv, linear = jaxinit.defaults.conv, jaxinit.defaults.linear
        self.conv1 = nnx.Conv(1, 4, (3, 3), rngs=rngs, **conv(1, (3, 3)))
        self.conv2 = nnx.Conv(4, 4, (3, 3), rngs=rngs, **conv(4, (3, 3)))
        self.linear1 = nnx.Linear(4, 6, rngs=rngs, **linear(4))
        self.linear2 = nnx.Linear(6, 3, rngs=rngs, **linear(8))

    def __call__(self, x: Any) -> Any:
        return self.linear2(self.linear1(self.conv2(self.conv1(x)).mean((1, 2))))


def test_parameters_and_outputs_of_another_shape_are_told() -> None:
    inputs = {"torch": IMAGES, "flax": np.moveaxis(IMAGES, 1, -1)}
    findings = jaxinit_conformance.port(TorchCNN, CNN, inputs, rename=[("^fc", "linear")]).findings
    assert [finding.message for finding in findings if finding.kind in ("missing", "unexpected", "output")] == [
        "`fc1.weight`: torch has this tensor of shape (8, 4), the port's `linear1.kernel` needs shape (6, 4)",
        "`fc1.bias`: torch has this tensor of shape (8,), the port's `linear1.bias` needs shape (6,)",
        "`fc2.weight`: torch has this tensor of shape (3, 8), the port's `linear2.kernel` needs shape (3, 6)",
        "`conv1` is the first module that differs: its output has shape (2, 4, 4, 4) in torch, "
        "and (2, 6, 6, 4) in the port",
    ]


def test_flaxs_defaults_are_told_once() -> None:
    """Where torch's scale depends on the shape, each kernel has another distribution."""
    default, normal = "yours a normal cut at -{0} and {0} (Flax's default)", "`{1}`: torch draws N(0, {0}), "
    messages = [(normal + default).format(0.1 * number, f"conv{number}.kernel") for number in range(7)]
    found = [Finding(f"conv{number}.kernel", "distribution", message) for number, message in enumerate(messages)]
    (kernels,) = PortReport({}, 0, tuple(found), (), {}, (), ()).summary
    rule = "keep Flax's default, where torch draws from other distributions"
    assert kernels.message == f"{messages[0]}. 6 more parameters {rule}"
    assert len(PortReport({}, 0, tuple(found[:4]), (), {}, (), ()).summary) == 4


class TorchBlock(torch.nn.Module):
    """As MBConv of torchvision, whose Sequential holds all tensors of the block."""

    def __init__(self) -> None:
        super().__init__()
        self.block = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8))

    def forward(self, x: Any) -> Any:
        return x + self.block(x)


class Block(nnx.Module):
    def __init__(self, has_skip: bool, rngs: nnx.Rngs) -> None:
        self.fc1, self.fc2 = (nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8)) for _ in range(2))
        self.has_skip = has_skip

    def __call__(self, x: Any) -> Any:
        out = self.fc2(nnx.relu(self.fc1(x)))
        return x + out if self.has_skip else out


@pytest.mark.parametrize("has_skip", [True, False])
def test_a_block_may_have_a_module_around_all_that_it_holds(has_skip: bool) -> None:
    def flax_build(rngs: nnx.Rngs) -> nnx.Module:
        head = nnx.Linear(8, 3, rngs=rngs, **jaxinit.defaults.linear(8))
        return nnx.Sequential(Block(has_skip, rngs), head)

    def torch_build() -> torch.nn.Module:
        return torch.nn.Sequential(TorchBlock(), torch.nn.Linear(8, 3))

    names = [("block.0", "fc1"), ("block.2", "fc2")]
    x = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    findings = jaxinit_conformance.port(torch_build, flax_build, x, rename=names).findings
    assert [finding.path for finding in findings] == ([] if has_skip else ["layers.1"])


class TorchVAE(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        mean = self.encoder(x)
        return self.decoder(mean + torch.randn_like(mean))


class VAE(nn.Module):
    @nn.compact
    def __call__(self, x: Any, key: jax.Array) -> Any:
        mean = nn.Dense(8, name="encoder", **jaxinit.defaults.linear(8))(x)
        noise = jax.random.normal(key, mean.shape)
        return nn.Dense(8, name="decoder", **jaxinit.defaults.linear(8))(mean + noise)


def test_random_outputs_are_not_compared() -> None:
    x = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    report = jaxinit_conformance.port(TorchVAE, VAE, {"torch": x, "flax": (x, jax.random.key(0))})
    (finding,) = report.findings
    assert finding.message.startswith("the output of torch's whole model changes from run to run")
    assert [row.incomparable for row in report.outputs] == ["", "random in torch", "random in torch"]
    assert report.outputs[0].same
    assert report.compared == 1


def test_a_port_may_have_arrays_that_are_no_variables() -> None:
    """As the scale of the embedding in Bonsai's Gemma."""

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.fc = nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8))
            self.factor = nnx.data(jnp.float32(2.0))

        def __call__(self, x: Any) -> Any:
            return self.factor * self.fc(x)

    class TorchNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            return 2 * self.fc(x)

    jaxinit_conformance.assert_ported(TorchNet, Net, np.ones((2, 8), np.float32))


def test_heads_may_stand_before_the_tokens() -> None:
    """As in the norm of the queries in Gemma 3."""

    class TorchNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.LayerNorm(4)

        def forward(self, x: Any) -> Any:
            return self.norm(x.reshape(2, 5, 3, 4).transpose(1, 2)).transpose(1, 2).flatten(2)

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.norm = nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.norm(x.reshape(2, 5, 3, 4)).reshape(2, 5, 12)

    x = np.random.default_rng(0).normal(size=(2, 5, 12)).astype(np.float32)
    jaxinit_conformance.assert_ported(TorchNet, Net, x)
