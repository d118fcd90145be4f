"""Read torch's tensors from a dict, files of safetensors or torch.save, or a folder of them, as NumPy arrays."""

import collections
import json
import pathlib
import pickle
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from jaxinit._recipes.recipe import Recipe

File = str | PathLike[str]
State = Mapping[str, Any] | File | Sequence[File] | Recipe

T = TypeVar("T")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")

# Types that `safetensors.numpy` cannot read, because NumPy itself lacks them (safetensors 0.8).
_FLOAT8 = {
    "F8_E4M3": jnp.float8_e4m3fn,
    "F8_E4M3FNUZ": jnp.float8_e4m3fnuz,
    "F8_E5M2": jnp.float8_e5m2,
    "F8_E5M2FNUZ": jnp.float8_e5m2fnuz,
    "F8_E8M0": jnp.float8_e8m0fnu,
}


def drawn(state: State, name: str, key: Any) -> State:
    """Return the tensors that a recipe draws with a key or a TorchGenerator, which is the argument `name`."""
    if isinstance(state, Recipe):
        if key is None:
            raise ValueError(f"`{name}` must be given to draw the tensors of a recipe, got None")
        return state.sample(key)
    if key is not None:
        rule = f"`{name}` draws the tensors of a recipe, got `{name}` with a `state` of {type(state)}"
        raise ValueError(f"{rule}. Read the file of a recipe with jaxinit.Recipe.from_json(path.read_text())")
    return state


def read(state: State) -> dict[str, np.ndarray]:
    """Return the arrays by torch's names."""
    if isinstance(state, Mapping):
        found = _arrays(_unwrapped(state))
    else:
        paths: list[Any] = [*state] if isinstance(state, list | tuple) else [state]
        if not all(isinstance(path, str | PathLike) for path in paths):
            hint = ". Pass torch_model.state_dict()" if hasattr(state, "load_state_dict") else ""
            rule = "`state` must be a dict of arrays, the path of a checkpoint or several"
            raise TypeError(f"{rule}, got {type(state)}{hint}")
        read_files = [_read_file(file) for path in paths for file in _files(pathlib.Path(path))]
        counts = collections.Counter(name for arrays in read_files for name in arrays)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"`state` must have each tensor in one file, got {', '.join(twice)} in several")
        found = {name: array for arrays in read_files for name, array in arrays.items()}
    return without_counters(found)


def without_counters(state: Mapping[str, T]) -> dict[str, T]:
    """Return the state without BatchNorm's counts of batches, which Flax does not keep."""
    return {name: value for name, value in state.items() if name.rpartition(".")[2] != "num_batches_tracked"}


def _unwrapped(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `state_dict` in a checkpoint of Lightning, which keeps it beside the epoch and the optimizer."""
    inner = state.get("state_dict")
    return inner if isinstance(inner, Mapping) else state


def _arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if wrong := [name for name in state if not isinstance(name, str)]:
        raise TypeError(f"`state` must have names as keys, got {wrong[0]!r}")
    if nested := [name for name, value in state.items() if isinstance(value, Mapping)]:
        raise TypeError(
            f"`state` must be one dict of arrays, got nested dicts under {', '.join(map(repr, nested))}. "
            f"Pass the one with the weights, such as state[{nested[0]!r}]"
        )
    return {name: _array(name, value) for name, value in state.items()}


def _array(name: str, value: Any) -> np.ndarray:
    if getattr(value, "is_meta", False):
        raise TypeError(f"`state` must hold values, got for {name} a tensor on the device meta, which has none")
    try:
        return np.asarray(value)
    except TypeError:
        return _through_jax(name, value)
    except RuntimeError as error:  # a parameter that requires a gradient
        raise TypeError(f"`state` must hold arrays, such as torch's state_dict(), got for {name}: {error}") from None


def _through_jax(name: str, value: Any) -> np.ndarray:
    """Return a torch tensor of a dtype that NumPy lacks and JAX has, such as bfloat16 or float8."""
    try:
        # JAX refuses strides that skip or repeat entries.
        return np.asarray(jnp.from_dlpack(value.contiguous()))
    except Exception as error:  # torch's and JAX's own, none of which names the tensor
        kind = f"dtype {getattr(value, 'dtype', type(value))}"
        raise TypeError(f"`state` must hold arrays that JAX can read, got for {name} {kind}: {error}") from None


def _files(path: pathlib.Path) -> list[pathlib.Path]:
    """Return the files that a path means: itself, the shards of an index, or those of a folder."""
    if path.is_dir():
        return _files(_only_checkpoint(path))
    if path.name.endswith(".index.json"):
        return [path.parent / name for name in sorted(set(_weight_map(path).values()))]
    return [path]


def _only_checkpoint(folder: pathlib.Path) -> pathlib.Path:
    """Return the index or the file of a folder as `save_pretrained` writes it."""
    kinds = ("*.safetensors.index.json", "*.safetensors", "*.bin.index.json", *(f"*{kind}" for kind in _PICKLES))
    found = next(filter(None, (sorted(folder.glob(kind)) for kind in kinds)), [])
    standard = [path for path in found if path.name.startswith(("model.safetensors", "pytorch_model.bin"))]
    if len(standard or found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(f"`state` must be a folder with one checkpoint, got {folder} with {names}")
    return (standard or found)[0]


def _weight_map(path: pathlib.Path) -> Mapping[str, str]:
    """Return the file that holds each tensor of a sharded checkpoint."""
    try:
        return dict(json.loads(path.read_text())["weight_map"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"`state` must be an index with a `weight_map`, got {path}: {error!r}") from None


def _read_file(path: pathlib.Path) -> dict[str, np.ndarray]:
    if path.suffix in _PICKLES:
        return _read_pickle(path)
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ImportError("`state` as a file needs safetensors. Install it with: pip install safetensors") from None
    try:
        with safe_open(path, "numpy") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  # no mapping
            narrow = {name: kind for name, kind in kinds.items() if kind.startswith(("F8", "F6", "F4"))}
            arrays = {name: file.get_tensor(name) for name in kinds if name not in narrow}
    except SafetensorError as error:
        raise ValueError(
            f"`state` must be a file of safetensors, or of torch.save with a name that ends in "
            f"{', '.join(_PICKLES)}, got {path}: {error}"
        ) from None
    return {**arrays, **_read_narrow(path, narrow)} if narrow else arrays


def _read_pickle(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return the arrays in a file of torch.save. torch reads it without running code of the file."""
    try:
        import torch
    except ImportError:
        raise ImportError(f"`state` as a file of torch.save needs torch, got {path}. Install torch") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"`state` must be a file that holds tensors alone, got {path}: {error}") from None
    if not isinstance(state, Mapping):
        raise TypeError(f"`state` must be a file with a dict of tensors, got {path} with {type(state)}")
    return _arrays(_unwrapped(state))


def _read_narrow(path: pathlib.Path, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return those tensors of a file whose dtypes NumPy lacks, from their bytes."""
    from safetensors import deserialize

    if wrong := [f"{name} of {kind}" for name, kind in kinds.items() if kind not in _FLOAT8]:
        raise TypeError(f"`state` must hold dtypes among {', '.join(_FLOAT8)} or NumPy's, got {', '.join(wrong)}")
    found = [(name, tensor) for name, tensor in deserialize(path.read_bytes()) if name in kinds]
    return {name: np.frombuffer(t["data"], _FLOAT8[t["dtype"]]).reshape(t["shape"]) for name, t in found}
