"""Tensors and files of torch as people have them: views, narrow dtypes, shards, folders, and what cannot be read."""

import json
import sys
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
    with pytest.raises(ValueError, match=r"must be a folder with one checkpoint, got .* with none"):
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


@pytest.mark.parametrize("kind", ["bin", "pt", "pth", "ckpt"])
def test_a_file_of_torch_save(kind: str, tmp_path: Path) -> None:
    state, path, layer = torch.nn.Linear(3, 4).state_dict(), tmp_path / f"pytorch_model.{kind}", linear()
    torch.save({"state_dict": state, "epoch": 1} if kind == "ckpt" else state, path)
    for source in (path, tmp_path):
        jaxinit.nnx.load(layer, source)
        np.testing.assert_array_equal(layer.kernel[...].T, state["weight"])


class Payload:
    """A pickle that runs code when it is read."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model"])
def test_a_pickle_runs_no_code(name: str, tmp_path: Path) -> None:
    torch.save({"weight": Payload()}, tmp_path / name)
    with pytest.raises(
        ValueError, match=r"`state` must be a file (that holds tensors alone|of safetensors, or of torch.save)"
    ):
        jaxinit.nnx.load(linear(), tmp_path / name)


def test_a_file_of_torch_save_needs_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(torch.nn.Linear(3, 4).state_dict(), tmp_path / "model.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ImportError, match=r"`state` as a file of torch\.save needs torch, got .*model\.pt\. Install torch"
    ):
        jaxinit.nnx.load(linear(), tmp_path / "model.pt")


def test_a_file_that_holds_no_dict(tmp_path: Path) -> None:
    torch.save([torch.ones(3)], tmp_path / "model.pt")
    with pytest.raises(TypeError, match=r"`state` must be a file with a dict of tensors, got .* with <class 'list'>"):
        jaxinit.nnx.load(linear(), tmp_path / "model.pt")


def test_several_files(tmp_path: Path) -> None:
    state: dict[str, torch.Tensor] = torch.nn.Linear(3, 4).state_dict()
    paths, layer = [tmp_path / "a.safetensors", tmp_path / "b.pt"], linear()
    safetensors.torch.save_file({"weight": state["weight"]}, paths[0])
    torch.save({"bias": state["bias"]}, paths[1])
    jaxinit.nnx.load(layer, paths)
    np.testing.assert_array_equal(layer.kernel[...].T, state["weight"])
    with pytest.raises(ValueError, match="`state` must have each tensor in one file, got weight in several"):
        jaxinit.nnx.load(layer, [*paths, paths[0]])
    with pytest.raises(TypeError, match="`state` must be a dict of arrays, the path of a checkpoint or several"):
        jaxinit.nnx.load(layer, [state])  # type: ignore[list-item]  # wrong on purpose
    with pytest.raises(TypeError, match=r"got <class 'torch.*Linear'>\. Pass torch_model\.state_dict\(\)$"):
        jaxinit.nnx.load(layer, torch.nn.Linear(3, 4))  # type: ignore[arg-type]
