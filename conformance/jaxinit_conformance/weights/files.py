"""Trees of arrays, from files or from Python, as arrays by name; and the plain statistics of one array.

Files may be hostile: none is ever unpickled, nothing is unpacked far beyond the size of
its archive, and whatever is wrong with one is told in a single line.
"""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import safetensors

from ..console import printable

Weights = dict[str, np.ndarray]

_DTYPES = {
    **{f"F{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    **{f"I{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"U{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(bool),
    "C64": np.dtype(np.complex64),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
}

_CHUNK = 2**20


class WeightsError(Exception):
    """The file holds no weights that can be read."""


def read(path: Path) -> Weights:
    """The arrays of a file by name.

    Args:
        path: a .safetensors file, or a .npz archive of numpy arrays.

    Returns:
        The arrays, in the order of the file.

    Raises:
        WeightsError: the file cannot be read, is damaged, holds pickled objects or no array at all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "weights.npz"
        ...     np.savez(path, kernel=np.ones((2, 3)))
        ...     read(path)["kernel"].shape
        (2, 3)
    """
    formats = {".safetensors": _safetensors, ".npz": _npz}
    if path.suffix.lower() not in formats:
        raise WeightsError(f"cannot read {path}: not a .safetensors or .npz file (pickles are never loaded)")
    if path.exists() and not path.is_file():
        raise WeightsError(f"cannot read {path}: not a file")
    try:
        found = dict(formats[path.suffix.lower()](path))
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # what a damaged file makes its parsers raise is not documented
        raise WeightsError(f"cannot read {path}: {printable(_reason(error))}") from None
    if not found:
        raise WeightsError(f"cannot read {path}: it holds no arrays")
    return found


def flatten(tree: Any) -> Weights:
    """The leaves of a tree by path, as numpy arrays.

    Args:
        tree: any tree of arrays that JAX knows: dicts, sequences, variables of Linen, modules and
            states of NNX; also of NumPy arrays, numbers and torch's tensors.

    Returns:
        The arrays; their names are paths joined by dots.

    Raises:
        TypeError: a leaf is not an array of numbers.
        ValueError: two leaves have the same name.

    Example:
        >>> list(flatten({"layers": [{"kernel": jnp.ones((2, 3))}], "scale": 1.0}))
        ['layers.0.kernel', 'scale']
    """
    found: Weights = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        # The box around an array of NNX or Linen is no part of its name.
        inner = path[:-1] if _is_box(path) else path
        name = jax.tree_util.keystr(inner, simple=True, separator=".")
        if name in found:
            raise ValueError(f"`tree` must give every leaf a name of its own, got {name!r} twice")
        found[name] = _array(name, leaf)
    return found


def _is_box(path: tuple[Any, ...]) -> bool:
    return len(path) > 1 and getattr(path[-1], "name", None) == "value"


def _array(name: str, leaf: Any) -> np.ndarray:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(leaf))
    try:
        array = np.asarray(leaf)
    except (TypeError, ValueError, RuntimeError):
        array = np.empty((), object)
    if not is_numeric(array):
        raise TypeError(f"`tree` must hold arrays of numbers, got {type(leaf).__name__} at {name!r}")
    return array


def is_numeric(array: np.ndarray) -> bool:
    """Whether the entries are numbers or truth values."""
    return array.dtype.kind != "m" and any(jnp.issubdtype(array.dtype, kind) for kind in (np.number, np.bool_))


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "its arrays do not fit into memory"
    if "allow_pickle" in str(error):
        return "it holds pickled objects, which are never loaded"
    return str(error) or type(error).__name__


def _safetensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    # safe_open knows no float8 without torch; the bytes are plain.
    for name, tensor in safetensors.deserialize(path.read_bytes()):
        if tensor["dtype"] not in _DTYPES:
            raise WeightsError(f"{name} has dtype {tensor['dtype']}, expected one of {', '.join(_DTYPES)}")
        dtype = _DTYPES[tensor["dtype"]].newbyteorder("<")
        yield name, np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])


def _npz(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise WeightsError("it is not a zip archive of arrays")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            yield from ((name, _npy(np.asarray(array))) for name, array in archive.items())


def _npy(array: np.ndarray) -> np.ndarray:
    """An array as numpy read it, in native byte order; numpy stores bfloat16 as two bytes without a name."""
    if array.dtype == np.dtype("V2"):
        return array.view(ml_dtypes.bfloat16)
    if not is_numeric(array):
        raise WeightsError(f"it holds an array of {array.dtype}, which are not numbers")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def moments(values: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, standard deviation, skewness and kurtosis (3 for a normal), in float64; NaN where there is none.

    Example:
        >>> moments(np.array([1.0, 1.0, -1.0, -1.0]))
        (0.0, 1.0, 0.0, 1.0)
    """
    if not values.size:
        return math.nan, math.nan, math.nan, math.nan
    scale = exponent(values)
    (mean,) = _averages(values, scale, 0.0, 1.0, 1)
    std = math.sqrt(_averages(values, scale, mean, 1.0, 2)[0]) if values.min() < values.max() else 0.0
    skewness, kurtosis = _averages(values, scale, mean, std, 3, 4) if std else (math.nan, math.nan)
    with np.errstate(over="ignore"):  # by the rounding of an average alone
        return float(np.ldexp(mean, scale)), float(np.ldexp(std, scale)), skewness, kurtosis


def exponent(values: np.ndarray) -> int:
    """The least power of two above all magnitudes; divided by it, entries neither overflow nor vanish.

    Example:
        >>> exponent(np.array([-3.0, 1.0]))
        2
    """
    return math.frexp(max(abs(float(values.min())), abs(float(values.max()))))[1]


def _averages(values: np.ndarray, scale: int, about: float, unit: float, *orders: int) -> list[float]:
    """The averages of powers of (x / 2**scale - about) / unit, a chunk at a time."""
    sums = np.zeros(len(orders))
    with np.errstate(over="ignore"):
        for start in range(0, values.size, _CHUNK):
            chunk = (np.ldexp(values[start : start + _CHUNK].astype(np.float64), -scale) - about) / unit
            sums += [(chunk**order).sum() for order in orders]
    averages: list[float] = (sums / values.size).tolist()
    return averages


def distinct(values: np.ndarray) -> int:
    """The number of different entries; by their bits, which sort faster than bfloat16 does."""
    if values.dtype.itemsize > 8:
        return int(np.unique(values).size)
    one_zero = np.where(values == 0, np.zeros((), values.dtype), values)
    return int(np.unique(one_zero.view(f"u{values.dtype.itemsize}")).size)


def narrowed(values: np.ndarray) -> np.ndarray:
    """The values in bfloat16 or float16 if either holds them all, else in 32 bits at most."""
    with np.errstate(over="ignore", invalid="ignore"):
        for dtype in (ml_dtypes.bfloat16, np.float16):
            few, narrow = values[:1000], np.dtype(dtype)
            # The first entries decide nearly always.
            if values.itemsize > 2 and (few.astype(narrow) == few).all() and (values.astype(narrow) == values).all():
                return values.astype(narrow)
        return values.astype(np.float32) if values.itemsize > 4 else values
