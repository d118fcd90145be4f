"""What ports that others wrote showed: each was a wrong finding, a crash, or a message hard to read."""

import collections
import json
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
import jaxinit_conformance
from jaxinit_conformance.porting.finding import Finding, PortReport

from . import models


def test_a_report_names_blocks_alike_once() -> None:
    paths = ["blocks.0.fc1.bias", "blocks.0.fc2.bias", "blocks.1.fc1.bias", "blocks.2.fc1.bias"]
    found = [Finding(path, "missing", f"`{path}`: absent") for path in paths]
    report = PortReport({}, 0, (*found, Finding("embed", "output", "off")), (), {}, (), ())
    assert [finding.message for finding in report.summary] == [
        "`blocks.0.fc1.bias`: absent. 2 more like it in other blocks",
        "`blocks.0.fc2.bias`: absent",
        "off",
    ]
    assert report.verdict.endswith("in 5 places, of 3 sorts")


def test_a_report_asks_for_names_where_many_differ() -> None:
    found = [Finding(f"layer{i}.{name}", "missing", "absent") for i in range(4) for name in ("a", "b", "c")]
    (finding,) = PortReport({}, 0, tuple(found), (), {}, (), ()).summary
    assert finding.message == (
        "absent. 11 more of torch's tensors have no counterpart. If the names differ, tell them with `rename`"
    )


def test_a_report_names_parameters_drawn_alike_once() -> None:
    def message(path: str, torch_draws: str, std: float) -> str:
        return f"`{path}`: torch draws {torch_draws}, yours a normal cut at {-2 * std} and {2 * std}, Flax's default"

    drawn = {"up": ("N(0, 0.02)", 0.1), "down": ("N(0, 0.02)", 0.05), "scaled": ("N(0, 0.004)", 0.1)}
    found = [Finding(path, "distribution", message(path, *numbers)) for path, numbers in drawn.items()]
    summary = PortReport({}, 0, tuple(found), (), {}, (), ()).summary
    assert [finding.path for finding in summary] == ["up", "scaled"]
    assert summary[0].message.endswith("Flax's default. 1 more like it in other parameters")


def test_a_module_corresponds_to_the_one_with_the_same_tensors() -> None:
    """torch's module `mlp` holds two of the four layers that the port has in its block."""

    class TorchBlock(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.attention = torch.nn.LayerNorm(8), torch.nn.Linear(8, 8)
            layers = {"fc1": torch.nn.Linear(8, 8), "fc2": torch.nn.Linear(8, 8)}
            self.mlp = torch.nn.Sequential(collections.OrderedDict(layers))

        def forward(self, x: Any) -> Any:
            return x + self.mlp(self.attention(self.norm(x)))

    class TorchNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks, self.head = torch.nn.ModuleList([TorchBlock()]), torch.nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            return self.head(self.blocks[0](x))

    class Block(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.norm = nnx.LayerNorm(8, epsilon=1e-5, rngs=rngs)
            self.attention, self.fc1, self.fc2 = (
                nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8)) for _ in range(3)
            )

        def __call__(self, x: Any) -> Any:
            return x + self.fc2(self.fc1(self.attention(self.norm(x))))

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.blocks = nnx.List([Block(rngs)])
            self.head = nnx.Linear(8, 3, rngs=rngs, **jaxinit.defaults.linear(8))

        def __call__(self, x: Any) -> Any:
            return self.head(self.blocks[0](x))

    report = jaxinit_conformance.port(TorchNet, Net, np.ones((2, 8), np.float32), rename=[("mlp.", "")])
    assert report.conforms, report.findings
    paths = [output.path for output in report.outputs]
    assert paths == [*(f"blocks.0.{name}" for name in ("norm", "attention", "fc1", "fc2")), "blocks.0", "head", ""]


def test_flaxs_default_is_named() -> None:
    def torch_build() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Embedding(60, 16), torch.nn.Linear(16, 40, bias=False))

    def flax_build(rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Sequential(nnx.Embed(60, 16, rngs=rngs), nnx.Linear(16, 40, use_bias=False, rngs=rngs))

    findings = jaxinit_conformance.port(torch_build, flax_build).findings
    assert [finding.message.endswith(" (Flax's default)") for finding in findings] == [True, True]


def test_a_report_begins_with_several_kinds() -> None:
    found = [Finding(name, "distribution", name) for name in ("a", "b", "c")]
    report = PortReport({}, 0, (*found, Finding("d", "output", "d")), (), {}, (), ())
    assert [finding.path for finding in report.worst] == ["a", "d", "b"]


def test_a_row_of_padding_is_told() -> None:
    def flax_build(rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Embed(20, 8, embedding_init=jaxinit.normal(), rngs=rngs)

    (finding,) = jaxinit_conformance.port(lambda: torch.nn.Embedding(20, 8, padding_idx=2), flax_build).findings
    assert " except 8 entries that are always 0, the first at [2, 0], yours " in finding.message


def test_a_truncated_normal_is_no_normal() -> None:
    def torch_build() -> torch.nn.Module:
        layer = torch.nn.Linear(32, 32, bias=False)
        torch.nn.init.normal_(layer.weight)
        return layer

    def flax_build(rngs: nnx.Rngs) -> nnx.Module:
        init = nnx.initializers.truncated_normal(1 / 0.87962566)  # the same variance
        return nnx.Linear(32, 32, use_bias=False, kernel_init=init, rngs=rngs)

    (finding,) = jaxinit_conformance.port(torch_build, flax_build).findings
    assert finding.message.startswith("`kernel`: torch draws N(0, 1), yours a normal cut at -2.3 and 2.3")


def test_a_port_in_bfloat16_conforms() -> None:
    def torch_build() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Embedding(20, 8, padding_idx=0), torch.nn.Linear(8, 8))

    def flax_build(rngs: nnx.Rngs) -> nnx.Module:
        embed = nnx.Embed(20, 8, embedding_init=models.embedding, param_dtype=jnp.bfloat16, rngs=rngs)
        linear = nnx.Linear(8, 8, param_dtype=jnp.bfloat16, rngs=rngs, **jaxinit.defaults.linear(8))
        return nnx.Sequential(embed, linear)

    jaxinit_conformance.assert_ported(torch_build, flax_build, np.arange(6))


def test_numbers_equal_by_chance_are_no_constants() -> None:
    """torch draws in bfloat16 here. About one entry in 500 is the same from two keys."""

    def flax_build(rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Embed(400, 64, embedding_init=models.embedding, param_dtype=jnp.bfloat16, rngs=rngs)

    jaxinit_conformance.assert_ported(
        lambda: torch.nn.Embedding(400, 64, padding_idx=0, dtype=torch.bfloat16), flax_build
    )


def test_layers_that_torch_changes_in_place_are_compared() -> None:
    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.fc = nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8))

        def __call__(self, x: Any) -> Any:
            return jax.nn.relu(self.fc(x))

    def torch_build() -> torch.nn.Module:
        layers = {"fc": torch.nn.Linear(8, 8), "relu": torch.nn.ReLU(inplace=True)}
        return torch.nn.Sequential(collections.OrderedDict(layers))

    jaxinit_conformance.assert_ported(torch_build, Net, np.ones((2, 8), np.float32))


def test_weights_that_torch_does_not_train_have_no_gradients() -> None:
    """As the positions of Whisper's encoder."""

    def torch_build() -> torch.nn.Module:
        layers = {"embed": torch.nn.Embedding(5, 8), "fc": torch.nn.Linear(8, 8)}
        layers["embed"].weight.requires_grad_(False)
        return torch.nn.Sequential(collections.OrderedDict(layers))

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.embed = nnx.Embed(5, 8, embedding_init=jaxinit.normal(), rngs=rngs)
            self.fc = nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8))

        def __call__(self, x: Any) -> Any:
            return self.fc(self.embed(x))

    report = jaxinit_conformance.port(torch_build, Net, np.arange(5))
    assert report.conforms, report.findings
    gradients = {signal.path for signal in report.signals if signal.quantity == "gradients"}
    assert gradients == {"fc.kernel"}


def test_a_port_that_fails_in_float64_is_compared_in_float32() -> None:
    """As one whose cache is float32."""

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.fc = nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8))

        def __call__(self, x: Any) -> Any:
            return jax.lax.dynamic_update_slice(jnp.zeros((2, 8), jnp.float32), self.fc(x), (0, 0))

    def torch_build() -> torch.nn.Module:
        return torch.nn.Sequential(collections.OrderedDict(fc=torch.nn.Linear(8, 8)))

    report = jaxinit_conformance.port(torch_build, Net, np.linspace(0, 1, 16, dtype=np.float32).reshape(2, 8))
    assert report.conforms, report.findings
    assert 1e-9 < report.outputs[-1].tolerance < 1e-5


def test_constants_of_torch_are_told() -> None:
    def torch_build() -> torch.nn.Module:
        module = torch.nn.Embedding(5, 8)
        module.weight.data = torch.linspace(-1, 1, 40).reshape(5, 8)
        return module

    (finding,) = jaxinit_conformance.port(torch_build, lambda rngs: nnx.Embed(5, 8, rngs=rngs)).findings
    assert "torch draws the same entries each time, from -1 to 1, yours N(" in finding.message


def test_another_name_is_suggested() -> None:
    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.fc = nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8))
            self.scale = nnx.Param(jnp.ones(3))

    class TorchNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.scales = torch.nn.Linear(8, 8), torch.nn.Parameter(torch.ones(3))

    missing, _ = jaxinit_conformance.port(TorchNet, Net).findings
    assert missing.message.endswith("If `scale` is this tensor, tell it with `rename`")


def test_an_output_of_another_size_is_found(tmp_path: Path) -> None:
    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.fc = nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8))

        def __call__(self, x: Any) -> Any:
            return (x @ self.fc.kernel[...])[:1]

    def torch_build() -> torch.nn.Module:
        return torch.nn.Sequential(collections.OrderedDict(fc=torch.nn.Linear(8, 8)))

    report = jaxinit_conformance.port(torch_build, Net, np.ones((2, 8), np.float32))
    (finding,) = report.findings
    assert finding.message == "the whole model's output has shape (2, 8) in torch, and (1, 8) in the port"
    report.save(tmp_path)
    assert json.loads((tmp_path / "port.json").read_text())["outputs"][-1]["difference"] == "nan"
    assert not report.outputs[-1].same


@pytest.mark.parametrize("is_right", [True, False])
def test_infinite_outputs_must_be_torchs(is_right: bool) -> None:
    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.fc, self.head = (nnx.Linear(8, 8, rngs=rngs, **jaxinit.defaults.linear(8)) for _ in range(2))

        def __call__(self, x: Any) -> Any:
            hidden = jnp.where(self.fc(x) > 0, self.fc(x), 0.0 if is_right else math.nan)
            return jnp.where(jnp.arange(8) < 4, self.head(hidden), -math.inf)

    class TorchNet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.head = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            return self.head(self.fc(x).relu()).masked_fill(torch.arange(8) >= 4, -math.inf)

    report = jaxinit_conformance.port(TorchNet, Net, np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8))
    found = [finding for finding in report.findings if finding.kind == "output"]
    assert [finding.path for finding in found] == ([] if is_right else ["head"])
    assert all("NaN or infinite where torch's is not" in finding.message for finding in found)
