"""Operations that move, compare or choose values, each in its own dtype."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._recipes.operations.arithmetic import Operation, binary, unary


def cat(xp: Any, tensors: tuple[Any, ...], dim: int = 0) -> Any:
    return xp.concatenate(tensors, axis=dim)


def copy(xp: Any, a: Any, source: Any) -> Any:
    return xp.broadcast_to(source, a.shape)


def repeat(xp: Any, a: Any, repeats: tuple[int, ...]) -> Any:
    return xp.tile(a.reshape((1,) * (len(repeats) - a.ndim) + a.shape), repeats)


def constant_pad_nd(xp: Any, a: Any, pad: tuple[int, ...], value: float = 0) -> Any:
    """Pad with a number. torch names the sizes from the last axis on, and cuts off where they are negative."""
    sizes = [(0, 0)] * (a.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    a = a[tuple(slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(a.shape, sizes, strict=True))]
    return xp.pad(a, [(max(low, 0), max(high, 0)) for low, high in sizes], constant_values=value)


def roll(xp: Any, a: Any, shifts: tuple[int, ...], dims: tuple[int, ...] = ()) -> Any:
    return xp.roll(a, shifts, axis=dims) if dims else xp.roll(a.reshape(-1), shifts[0]).reshape(a.shape)


def block_diag(xp: Any, tensors: tuple[Any, ...]) -> Any:
    matrices = [each.reshape((1,) * (2 - each.ndim) + each.shape) for each in tensors]
    width, rows, before = sum(each.shape[1] for each in matrices), [], 0
    for each in matrices:
        rows.append(xp.pad(each, [(0, 0), (before, width - before - each.shape[1])]))
        before += each.shape[1]
    return xp.concatenate(rows)


def index_fill(xp: Any, a: Any, dim: int, index: Any, value: Any) -> Any:
    return index_put(xp, a, (*(None,) * (dim % max(a.ndim, 1)), index), value)


def index_copy(xp: Any, a: Any, dim: int, index: Any, source: Any) -> Any:
    return index_put(xp, a, (*(None,) * (dim % max(a.ndim, 1)), index), source)


def index_add(xp: Any, a: Any, dim: int, index: Any, source: Any, alpha: float = 1) -> Any:
    return index_put(xp, a, (*(None,) * (dim % max(a.ndim, 1)), index), alpha * source, accumulate=True)


def _places(indices: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(slice(None) if each is None else each for each in indices)


def index(_: Any, a: Any, indices: tuple[Any, ...]) -> Any:
    return a[_places(indices)]


def index_put(xp: Any, a: Any, indices: tuple[Any, ...], values: Any, accumulate: bool = False) -> Any:
    mask, *others = indices
    if not others and mask.dtype == bool:  # with one value, as the recorder sees to
        value = values.reshape((1,) * a.ndim)
        return xp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a + value if accumulate else value, a)
    if xp is jnp:
        places = a.at[_places(indices)]
        return places.add(values) if accumulate else places.set(values)
    changed = a.copy()
    if accumulate:
        np.add.at(changed, _places(indices), values)
    else:
        changed[_places(indices)] = values
    return changed


def view_as_real(xp: Any, a: Any, _: tuple[int, ...]) -> Any:
    return xp.stack([a.real, a.imag], axis=-1)


def view_as_complex(xp: Any, a: Any, shape: tuple[int, ...]) -> Any:
    pairs = a.reshape(*shape, 2)
    if xp is jnp:
        return jax.lax.complex(pairs[..., 0], pairs[..., 1])
    return np.ascontiguousarray(pairs).view(np.result_type(pairs, np.complex64)).reshape(shape)


COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
    **{name: name for name in ("logical_and", "logical_or", "bitwise_and", "bitwise_or")},
}

MOVES: Mapping[str, Operation] = {
    "to_copy": lambda _, a: a,
    "clone": lambda _, a: a,
    "copy": copy,
    "read": lambda _, a, region: region.read(a),
    "write": lambda _, a, region, value: region.write(a, value),
    "view_as_real": view_as_real,
    "view_as_complex": view_as_complex,
    "cat": cat,
    "stack": lambda xp, tensors, dim=0: xp.stack(tensors, axis=dim),
    "tril": lambda xp, a, diagonal=0: xp.tril(a, diagonal),
    "triu": lambda xp, a, diagonal=0: xp.triu(a, diagonal),
    "repeat": repeat,
    "constant_pad_nd": constant_pad_nd,
    "roll": roll,
    "block_diag": block_diag,
    "diag_embed": lambda xp, a: xp.where(xp.eye(a.shape[-1], dtype=bool), a[..., None, :], xp.zeros((), a.dtype)),
    "flip": lambda xp, a, dims: xp.flip(a, axis=tuple(dims)),
    **{name: binary(numpy) for name, numpy in COMPARISONS.items()},
    "logical_not": unary("logical_not"),
    "bitwise_not": unary("invert"),
    "index": index,
    "index_put": index_put,
    "index_fill": index_fill,
    "index_copy": index_copy,
    "index_add": index_add,
    "where": lambda xp, condition, a, b: xp.where(condition, a, b),
    "masked_fill": lambda xp, a, mask, value: xp.where(mask, xp.asarray(value, a.dtype), a),
}
