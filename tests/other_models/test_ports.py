"""Ports with the shapes of models of Google's Bonsai, beside the models of transformers."""

import functools
from typing import Any

import numpy as np
import pytest

import jaxinit_conformance
from tests.other_models import ports
from tests.other_models.models import SIZES, of_transformers

pytestmark = pytest.mark.filterwarnings("ignore")
IMAGES = np.random.default_rng(0).normal(size=(2, 3, ports.IMAGE, ports.IMAGE)).astype(np.float32)
INPUTS = {"torch": IMAGES, "flax": np.moveaxis(IMAGES, 1, -1)}
VIT = of_transformers(
    "ViTForImageClassification",
    "ViTConfig",
    {**SIZES, "num_hidden_layers": ports.DEPTH},
    image_size=ports.IMAGE,
    patch_size=ports.PATCH,
    num_labels=ports.LABELS,
)
CONVNEXT = of_transformers(
    "ConvNextForImageClassification",
    "ConvNextConfig",
    {"hidden_sizes": list(ports.DIMS), "depths": list(ports.DEPTHS), "num_stages": 2},
    image_size=ports.IMAGE,
    num_labels=ports.LABELS,
)


def compared(torch_build: Any, port: Any, names: Any, is_right: bool) -> Any:
    return jaxinit_conformance.port(torch_build, functools.partial(port, is_right=is_right), INPUTS, rename=names)


@pytest.mark.parametrize(
    ("torch_build", "port", "names"),
    [(VIT, ports.ViT, ports.VIT_NAMES), (CONVNEXT, ports.ConvNeXt, ports.CONVNEXT_NAMES)],
    ids=["ViT", "ConvNeXt"],
)
def test_a_right_port_has_no_findings(torch_build: Any, port: Any, names: Any) -> None:
    report = compared(torch_build, port, names, is_right=True)
    assert report.conforms, report.findings
    assert report.outputs[-1].difference < 1e-6


def test_bonsais_vit_keeps_flaxs_kernels_and_has_another_gelu() -> None:
    report = compared(VIT, ports.ViT, ports.VIT_NAMES, is_right=False)
    kernels, token, output, signal = report.summary
    assert "torch draws N(0, 0.02), yours a normal cut at" in kernels.message
    assert kernels.message.endswith("(Flax's default). 7 more like it in other parameters")
    assert token.message.startswith("`pos_embeddings.cls_token`: torch draws N(0, 0.02) truncated to [-2, 2], yours N(")
    assert output.message.startswith("`layers.0.linear2` is the first module that differs")
    assert output.message.endswith("`layers.0.linear1` before it agrees, so the cause lies in it or between the two")
    assert (signal.kind, signal.path) == ("signal", "pos_embeddings.projection")


def test_bonsais_convnext_keeps_flaxs_kernels_and_has_another_epsilon() -> None:
    report = compared(CONVNEXT, ports.ConvNeXt, ports.CONVNEXT_NAMES, is_right=False)
    assert {finding.kind for finding in report.findings} == {"distribution", "output", "signal"}
    assert all("yours a normal cut at" in each.message for each in report.findings if each.kind == "distribution")
    (output,) = (finding for finding in report.findings if finding.kind == "output")
    assert output.path == "embedding_layer.layers.1"
