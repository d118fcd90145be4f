"""Sparse weights: every input feeds the same number of outputs."""

import math

import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.base import WithLayout, require_matrix
from jaxinit._sampling.choose import MOST_ROWS
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Array, Source
from jaxinit.distributions import Constant, Normal
from jaxinit.layouts import View


class sparse(WithLayout):
    """Draw from a normal distribution, with the same number of zeros in every column of torch's matrix::

        w[:, i] has ceil(sparsity * out) zeros at uniformly random rows, the rest ~ N(0, std**2)

    Args:
        sparsity: the fraction of zeros, from 0 to 1.
        std: the standard deviation of the other entries.
        layout: which axes of your array are torch's. Stacked weights are drawn independently.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `sparsity` is outside [0, 1], `std < 0`, or a weight has axes besides in and out.

    Example:
        >>> w = jaxinit.sparse(0.1)(jax.random.key(0), (5, 32))  # (in, out)
        >>> (w == 0).sum(axis=1).tolist()
        [4, 4, 4, 4, 4]

    Source: Martens, Deep learning via Hessian-free optimization, 2010. Differs from torch:
    a sparsity outside [0, 1] is refused.
    """

    sparsity: float
    std: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical(sparsity=_arguments.within("sparsity", self.sparsity, 0.0, 1.0))
        self._canonical(std=_arguments.within("std", self.std, 0.0))

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        require_matrix(view, "sparse")
        rows = view.weight[0]
        if rows > MOST_ROWS:
            raise ValueError(f"`shape` must give at most {MOST_ROWS} outputs for sparse, got {rows}")
        if 0 in view.shape:
            return source.draw(Constant(0.0), view, dtype, out_sharding)
        count = math.ceil(self.sparsity * rows)
        return source.run(_sparse, view, out_sharding, count=count, std=self.std, dtype=dtype)


def _sparse(source: Source, *, view: View, count: int, std: float, dtype: np.dtype) -> Array:
    of_zeros, of_values = source.split(2)
    values = of_values.draw(Normal(0.0, std), view, dtype)  # before the zeros, as in torch
    xp = values.__array_namespace__()
    sparse_values: Array = xp.where(of_zeros.choose(count, view), xp.zeros((), dtype), values)
    return sparse_values
