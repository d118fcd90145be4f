"""What a cast to the dtype of the model would lose, beside the rounding of each entry."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np


def lost(name: str, array: np.ndarray, dtype: np.dtype) -> Iterator[str]:
    """Yield, in words, why the values of a tensor have no place in an array of `dtype`."""
    if array.dtype == dtype or not array.size:
        return
    if np.iscomplexobj(array) and not jnp.issubdtype(dtype, jnp.complexfloating):
        yield f"{name} must be real for an array of {dtype}, got {array.dtype}"
    elif jnp.issubdtype(dtype, jnp.floating):
        if _is_too_large(array, dtype):
            yield f"{name} must have values within those of {dtype}, got {_largest(array):.6g}"
    elif not jnp.issubdtype(dtype, jnp.inexact) and not _is_whole(array, dtype):
        yield f"{name} must have values of {dtype}, got others in {array.dtype}"


def _is_too_large(array: np.ndarray, dtype: np.dtype) -> bool:
    """Return whether a finite entry would become infinite or NaN. Most arrays show by their extremes that none does."""
    if _largest(array) <= float(jnp.finfo(dtype).max):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((np.isfinite(array) & ~np.isfinite(array.astype(dtype))).any())


def _largest(array: np.ndarray) -> float:
    """Return the largest magnitude, without NaN."""
    return max(float(np.fmax.reduce(array, axis=None)), -float(np.fmin.reduce(array, axis=None)))


def _is_whole(array: np.ndarray, dtype: np.dtype) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        return bool((array.astype(dtype).astype(array.dtype) == array).all())
