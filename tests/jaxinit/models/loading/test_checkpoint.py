"""Tensors and files of torch as people have them: views, narrow dtypes, shards, folders, and what cannot be read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.torch
import torch
from flax import nnx

import jaxinit

pytestmark = pytest.mark.usefixtures("torch_seed")
FLOAT8 = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"]
VIEWS: dict[str, Callable[[torch.dtype], torch.Tensor]] = {
    "split": lambda dtype: torch.randn(8, 24).to(dtype).split(8, dim=1)[1].t(),
    "every second row": lambda dtype: torch.randn(16, 8).to(dtype)[::2],
    "expanded": lambda dtype: torch.randn(1, 8).to(dtype).expand(8, 8),
    "last rows": lambda dtype: torch.randn(16, 8).to(dtype)[8:],
}


def linear(out: int = 4, into: int = 3) -> nnx.Linear:
    return nnx.Linear(into, out, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("name", VIEWS)
def test_views_with_strides(name: str, dtype: torch.dtype) -> None:
    layer, weight = linear(8, 8), VIEWS[name](dtype)
    jaxinit.nnx.load(layer, {"weight": weight, "bias": torch.zeros(8)})
    np.testing.assert_array_equal(layer.kernel[...].T, weight.float().numpy())


@pytest.mark.parametrize("dtype", FLOAT8)
def test_float8_in_dicts_and_files(dtype: str, tmp_path: Path) -> None:
    state = {"weight": torch.randn(4, 3).abs().to(getattr(torch, dtype)), "bias": torch.ones(4).bfloat16()}
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    for source in (state, tmp_path / "model.safetensors"):
        layer = linear()
        jaxinit.nnx.load(layer, source)
        np.testing.assert_array_equal(layer.kernel[...].T, state["weight"].float().numpy())
        np.testing.assert_array_equal(nnx.state(layer)["bias"][...], jnp.ones(4))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.zeros(4, 3, device="meta"), "for weight a tensor on the device meta, which has none"),
        (torch.zeros(4, 3).to_sparse(), "for weight dtype torch.float32"),
        (torch.zeros(4, 3, requires_grad=True), "for weight: Can't call numpy"),
    ],
    ids=["meta", "sparse", "gradient"],
)
def test_a_tensor_that_cannot_be_read_is_named(weight: torch.Tensor, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        jaxinit.nnx.load(linear(), {"weight": weight, "bias": torch.zeros(4)})


@pytest.fixture
def sharded(tmp_path: Path) -> dict[str, torch.Tensor]:
    """A folder with one file for each tensor, and the index of both."""
    state: dict[str, torch.Tensor] = torch.nn.Linear(3, 4).state_dict()
    for name, tensor in state.items():
        safetensors.torch.save_file({name: tensor}, tmp_path / f"model-{name}.safetensors")
    files = {name: f"model-{name}.safetensors" for name in state}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return state


@pytest.mark.parametrize("name", ["", "model.safetensors.index.json"])
def test_shards_with_an_index(name: str, sharded: dict[str, torch.Tensor], tmp_path: Path) -> None:
    layer = linear()
    jaxinit.nnx.load(layer, tmp_path / name)
    np.testing.assert_array_equal(layer.kernel[...].T, sharded["weight"])
    np.testing.assert_array_equal(nnx.state(layer)["bias"][...], sharded["bias"])


def test_a_folder_with_one_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be a folder with one safetensors checkpoint, got .* with none"):
        jaxinit.nnx.load(linear(), tmp_path)
    for name in ("a", "b"):
        safetensors.torch.save_file(torch.nn.Linear(3, 4).state_dict(), tmp_path / f"{name}.safetensors")
    with pytest.raises(ValueError, match=r"with a\.safetensors, b\.safetensors"):
        jaxinit.nnx.load(linear(), tmp_path)
    safetensors.torch.save_file(torch.nn.Linear(3, 4).state_dict(), tmp_path / "model.safetensors")
    jaxinit.nnx.load(linear(), tmp_path)


def test_an_index_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ValueError, match="must be an index with a `weight_map`"):
        jaxinit.nnx.load(linear(), tmp_path)


def test_nested_dicts() -> None:
    state: dict[str, Any] = torch.nn.Linear(3, 4).state_dict()
    layer = linear()
    jaxinit.nnx.load(layer, {"state_dict": state, "epoch": 1})
    np.testing.assert_array_equal(layer.kernel[...].T, state["weight"])
    with pytest.raises(TypeError, match=r"got nested dicts under 'model'. Pass .*, such as state\['model'\]"):
        jaxinit.nnx.load(layer, {"model": state, "step": 1})
