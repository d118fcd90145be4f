"""Initializers for the layers of Keras on JAX, which call an initializer with a shape and a dtype."""

from collections.abc import Sequence
from typing import Any

import jax
import keras

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer, require_initializer
from jaxinit._initializers.text import from_text


@keras.saving.register_keras_serializable("jaxinit")
class initializer(keras.initializers.Initializer):  # type: ignore[misc]  # Keras has no types
    """Draw with another initializer, for `kernel_initializer=` and the like.

    Keras tells an initializer the shape of a weight, and not the layer. So the layout is that of `init`. The
    default fits Dense, convolutions and, with torch's fans, transposed convolutions. Attention needs others:
    `Layout(0, (1, 2))` for query, key and value, and `Layout((0, 1), 2)` for the output. No layout fits
    DepthwiseConv: the channels of its kernel count as inputs, and torch has one input for each filter.

    A file that Keras saves holds the text of `init`. It loads once `jaxinit.keras` is imported.

    Args:
        init: an initializer, or its text.
        seed: an integer, or None for one that follows `keras.utils.set_random_seed`. Each call draws anew.

    Raises:
        TypeError: `init` is not an initializer of jaxinit, or `seed` not an integer.
        ValueError: a text is not that of an initializer.

    Example:
        >>> import keras
        >>> layer = keras.layers.Dense(4, kernel_initializer=jaxinit.keras.initializer(jaxinit.orthogonal(), seed=0))
        >>> layer.build((None, 4))
        >>> w = layer.kernel.value
        >>> bool(jnp.allclose(w.T @ w, jnp.eye(4), atol=1e-5))
        True

    Differs from keras.initializers: an integer seed gives other numbers at each call.
    """

    def __init__(self, init: Initializer | str, seed: int | None = None) -> None:
        self.init = from_text(init) if isinstance(init, str) else init
        require_initializer("init", self.init)
        self.seed = None if seed is None else _arguments.integer("seed", seed)
        self._generator = keras.random.SeedGenerator(self.seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        """Draw an array."""
        key = jax.random.wrap_key_data(self._generator.next(), impl="threefry2x32")
        return self.init(key, shape, dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as Keras saves them."""
        return {"init": repr(self.init), "seed": self.seed}
