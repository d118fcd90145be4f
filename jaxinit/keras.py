"""Initializers for the layers of Keras on JAX, which call an initializer with a shape and a dtype."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import keras
from keras.src.backend.common import global_state

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer, WithLayout, require_initializer
from jaxinit._initializers.text import from_text
from jaxinit.layouts import FLAX, TORCH, Layout


@keras.saving.register_keras_serializable("jaxinit")
class initializer(keras.initializers.Initializer):  # type: ignore[misc]  # Keras has no types
    """Draw with another initializer, for `kernel_initializer=` and the like.

    An initializer with the default layout gets the layout of the layer that is built:

    - EinsumDense and attention: inputs and outputs as in the equation.
    - DepthwiseConv and SeparableConv: torch's convolution with `groups`, which has one input for each filter.
    - Embedding: torch's own array.
    - Dense, convolutions, recurrent layers: `jaxinit.FLAX`. For transposed convolutions its fans are torch's.

    Weights of other layers with more than two axes need a layout that names the axes. Give a layer of yours an
    initializer of its own. One that a layer of Keras has used keeps the layout for weights of the same shape.

    A file that Keras saves holds the text of `init`. It loads once `jaxinit.keras` is imported.

    Args:
        init: an initializer, or its text.
        seed: an integer, or None for one that follows `keras.utils.set_random_seed`. Each call draws anew. Attention
            and Bidirectional copy the initializer for each of their parts, as they copy those of Keras. So an integer
            gives query and key, or both directions, the same numbers. Leave the seed None there.

    Raises:
        TypeError: `init` is not an initializer of jaxinit, or `seed` not an integer.
        ValueError: a text is not that of an initializer, or no layout is known for a weight.

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
        self._views: dict[tuple[int, ...], tuple[Layout, tuple[int, ...]]] = {}

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> jax.Array:
        """Draw an array."""
        key = jax.random.wrap_key_data(self._generator.next(), impl="threefry2x32")
        init, drawn = self.init, tuple(shape)
        if isinstance(init, WithLayout) and init.layout == FLAX:
            layout, drawn = self._view(_layer_in_build(), drawn)
            init = dataclasses.replace(init, layout=layout)
        return init(key, drawn, dtype or keras.config.floatx()).reshape(shape)

    def _view(self, layer: Any, shape: tuple[int, ...]) -> tuple[Layout, tuple[int, ...]]:
        """Return the layout of a layer's weight, and the shape that it is a layout of."""
        if _is_of_keras(layer):
            self._views[shape] = _view(layer, shape)
        elif shape not in self._views and len(shape) > 2 and layer is not None:
            raise ValueError(
                f"no layout is known for the weight {shape} of {type(layer).__name__}; name its axes, "
                "counted from the front, with layout=jaxinit.Layout(in_axis=..., out_axis=...)"
            )
        # A layer without `build` runs once for its shapes. Keras then draws the weights of its parts outside of them.
        return self._views.get(shape, (FLAX, shape))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as Keras saves them."""
        return {"init": repr(self.init), "seed": self.seed}


def _layer_in_build() -> Any:
    """Return the layer that is making a weight, or None. Keras 3.15 tells it to the names of variables alone."""
    scopes = global_state.get_global_attribute("name_scope_stack")
    return scopes[-1].caller if scopes else None


def _is_of_keras(layer: Any) -> bool:
    """Return whether a layer is a layer of Keras that has weights, or extends one."""
    if isinstance(layer, keras.Model | keras.layers.Wrapper):
        return False
    return any(kind.__module__.startswith("keras.src.layers.") for kind in type(layer).__mro__ if kind != keras.Layer)


def _view(layer: Any, shape: tuple[int, ...]) -> tuple[Layout, tuple[int, ...]]:
    match layer:
        case keras.layers.EinsumDense():
            return _of_equation(layer.equation), shape
        case keras.layers.Embedding():
            return TORCH, shape
        case (
            keras.layers.DepthwiseConv1D()
            | keras.layers.DepthwiseConv2D()
            | keras.layers.SeparableConv1D()
            | keras.layers.SeparableConv2D()
        ) if shape[:-2] == layer.kernel_size and shape[-1] == layer.depth_multiplier and not _has_depthwise(layer):
            *kernel, channels, multiplier = shape
            return FLAX, (*kernel, 1, channels * multiplier)
    return FLAX, shape


def _has_depthwise(layer: Any) -> bool:
    """Return whether a SeparableConv has its first kernel. The second one can have the same shape."""
    return hasattr(layer, "depthwise_kernel")


def _of_equation(equation: str) -> Layout:
    """Return the layout of the weight in an equation such as "abc,cde->abde"."""
    both, outputs = equation.replace(" ", "").split("->")
    inputs, weight = both.split(",")
    roles: dict[str, list[int]] = {"in_axis": [], "out_axis": [], "batch_axis": []}
    for axis, letter in enumerate(weight):
        role = "in_axis" if letter not in outputs else "batch_axis" if letter in inputs else "out_axis"
        roles[role].append(axis)
    return Layout(**roles)
