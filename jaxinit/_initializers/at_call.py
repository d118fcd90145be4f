"""An initializer for callers that name the axes of the weight when they call."""

import dataclasses
from collections.abc import Sequence

import jax
from jax.typing import DTypeLike

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer, require_initializer
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Source, Stream
from jaxinit.layouts import Axes, Layout, as_layout


@dataclasses.dataclass(frozen=True)
class at_call:
    """Draw with another initializer, for callers that pass `in_axis` and `out_axis`, such as MaxText::

        x = init(...),  layout = Layout(in_axis, out_axis, batch_axis=all other axes)

    The axes of the call replace the layout of `init`. An axis that the call does not name stacks
    independent weights, such as layers.

    Args:
        init: an initializer.
        layout: the layout of arrays that have an axis without a name in the call. MaxText's experts need
            `Layout(1, 2, batch_axis=0)`, for they are drawn with the axis of the experts as `in_axis`.

    Raises:
        TypeError: `init` is not an initializer of jaxinit, or `layout` neither a Layout nor a text.
        ValueError: the call names an axis twice, or one that the shape lacks. Also if it leaves the
            last axis without a name and there is no `layout`.

    Example:
        >>> init = jaxinit.at_call(jaxinit.orthogonal(), layout=jaxinit.Layout(1, 2, batch_axis=0))
        >>> experts = init(jax.random.key(0), (4, 8, 8), jnp.float32, 0, 1)
        >>> bool(jnp.allclose(experts[3] @ experts[3].T, jnp.eye(8), atol=1e-5))
        True

    Differs from jax.nn.initializers.variance_scaling, where axes that are not named are spatial
    and count in the fans.
    """

    init: Initializer
    layout: Layout | str | None = None

    def __post_init__(self) -> None:
        require_initializer("init", self.init)
        if self.layout is not None:
            object.__setattr__(self, "layout", as_layout(self.layout))

    def __call__(
        self,
        key: jax.Array | Source | Stream,
        shape: Sequence[int],
        dtype: DTypeLike | None = None,
        in_axis: Axes = -2,
        out_axis: Axes = -1,
        out_sharding: OutSharding = None,
    ) -> jax.Array:
        """Draw an array. The axes are integers or sequences of integers."""
        init = self.init.with_layouts(lambda _: self._named(Layout(in_axis, out_axis), shape))
        return init(key, shape, dtype, out_sharding)

    def _named(self, called: Layout, shape: Sequence[int]) -> Layout:
        """Return the layout of an array whose inputs and outputs the call names."""
        roles = called.view(_arguments.dimensions(shape)).roles
        if roles.spatial and self.layout is not None:
            return as_layout(self.layout)
        # https://github.com/AI-Hypercomputer/maxtext: RoutedMoE in layers/moe.py of version 0.2.5
        if len(shape) - 1 in roles.spatial:
            raise ValueError(
                f"the call must name the last axis of `shape` {tuple(shape)}, got in_axis={called.in_axis} and "
                f"out_axis={called.out_axis}; for MaxText's experts write "
                "jaxinit.at_call(init, layout=jaxinit.Layout(1, 2, batch_axis=0))"
            )
        return Layout(roles.into, roles.out, batch_axis=roles.spatial)
