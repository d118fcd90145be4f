"""The arrays of a file by name.

A file may be hostile: it is never unpickled, and an error is one line.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import safetensors

from ..console import CannotRun

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


class WeightsError(CannotRun):
    """Signal that the file has no weights that can be read."""


def read(path: Path) -> Weights:
    """Return the arrays of a file by name.

    Args:
        path: a .safetensors file, or a .npz archive of NumPy arrays.

    Returns:
        The arrays, in the order of the archive, or of their names in a .safetensors file.

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
        rule = "expected a .safetensors or .npz file. In Python, jaxinit.describe and jaxinit.compare read torch.save's"
        raise WeightsError(f"cannot read {path}: {rule}")
    if path.exists() and not path.is_file():
        raise WeightsError(f"cannot read {path}: it is not a file")
    try:
        found = dict(formats[path.suffix.lower()](path))
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # parsers do not document what a damaged file raises
        raise WeightsError(f"cannot read {path}: {_reason(error)}") from None
    if not found:
        raise WeightsError(f"cannot read {path}: it holds no arrays")
    return found


def is_numeric(array: np.ndarray) -> bool:
    """Return whether the entries are numbers or booleans."""
    return array.dtype.kind != "m" and any(jnp.issubdtype(array.dtype, kind) for kind in (np.number, np.bool_))


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "its arrays do not fit into memory"
    if "allow_pickle" in str(error):
        return "it holds pickled objects, which are never loaded"
    return str(error) or type(error).__name__


def _safetensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    # safe_open reads float8 only with torch, so the bytes are read here.
    # It returns them in another order in each run.
    for name, tensor in sorted(safetensors.deserialize(path.read_bytes()), key=lambda item: item[0]):
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
    """Return an array in native byte order. NumPy stores bfloat16 as two bytes without a dtype name."""
    if array.dtype == np.dtype("V2"):
        return array.view(ml_dtypes.bfloat16)
    if not is_numeric(array):
        raise WeightsError(f"it holds an array of {array.dtype}, which are not numbers")
    return array.astype(array.dtype.newbyteorder("="), copy=False)
