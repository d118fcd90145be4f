"""Five ports, each compared with its torch model: what is drawn, what is computed, and what torch's seed gives."""

from typing import Any

import pytest

import jaxinit
import jaxinit_conformance

from .ports import gpt2, policy, resnet, scanned, vit


@pytest.mark.parametrize(
    ("torch_build", "flax_build", "inputs", "options"),
    [
        (vit.TorchViT, lambda rngs: jaxinit.nnx.init(vit.ViT, rngs), vit.INPUTS, {"seed": 0}),
        (resnet.TorchResNet, resnet.ResNet, resnet.INPUTS, {}),
        (scanned.TorchStack, lambda rngs: jaxinit.nnx.init(scanned.Stack, rngs), scanned.INPUTS, {}),
        (scanned.TorchStack, scanned.LinenStack, scanned.INPUTS, {}),
        (policy.TorchAgent, policy.Agent, policy.INPUTS, {"seed": 0}),
        (gpt2.TorchGPT2, gpt2.GPT2, gpt2.INPUTS, {"transposed": gpt2.TRANSPOSED}),
    ],
    ids=["ViT", "ResNet-18 in Linen", "a stack in NNX", "a stack in Linen", "PPO", "GPT-2"],
)
def test_a_port_is_its_torch_model(torch_build: Any, flax_build: Any, inputs: Any, options: Any) -> None:
    report = jaxinit_conformance.port(torch_build, flax_build, inputs, **options)
    assert report.conforms, report.findings
    assert report.outputs[-1].difference < 1e-6
