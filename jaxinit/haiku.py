"""Initializers for Haiku's modules, which call an initializer with a shape and a dtype."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import haiku
import jax
from jax.typing import DTypeLike

from jaxinit._initializers.base import Initializer, require_initializer


@dataclasses.dataclass(frozen=True)
class initializer:
    """Draw with another initializer, with the next key of Haiku, for `w_init=` and `b_init=`.

    Haiku's weights have the axes `(*spatial, in, out)` of the default layout. Its transposed
    convolutions have `(*spatial, out, in)`, whose fans in that layout are torch's. Embeddings
    are torch's own arrays: pass `layout=jaxinit.TORCH` to `init`.

    Args:
        init: an initializer.

    Raises:
        TypeError: `init` is not an initializer of jaxinit.

    Example:
        >>> import haiku as hk
        >>> def forward(x):
        ...     return hk.Linear(4, w_init=jaxinit.haiku.initializer(jaxinit.orthogonal()))(x)
        >>> params = hk.transform(forward).init(jax.random.key(0), jnp.ones((1, 4)))
        >>> w = params["linear"]["w"]
        >>> bool(jnp.allclose(w.T @ w, jnp.eye(4), atol=1e-5))
        True

    Differs from haiku.initializers, which truncate their normals at two standard deviations.
    """

    init: Initializer

    def __post_init__(self) -> None:
        require_initializer("init", self.init)

    def __call__(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> jax.Array:
        """Draw an array. Constants need no key of Haiku."""
        key: Any = haiku.maybe_next_rng_key()
        return self.init(key, shape, dtype)
