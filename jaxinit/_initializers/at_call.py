"""An initializer for callers that name the axes of the weight when they call."""

import dataclasses
from collections.abc import Sequence

import jax
from jax.typing import DTypeLike

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer, WithLayout, require_initializer
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Source, Stream
from jaxinit.layouts import Axes, Layout


@dataclasses.dataclass(frozen=True)
class at_call:
    """Draw with another initializer, for callers that pass `in_axis` and `out_axis`, such as MaxText::

        x = init(...),  layout = Layout(in_axis, out_axis, batch_axis=all other axes)

    The axes of the call replace the layout of `init`. An axis that the call does not name stacks
    independent weights: layers, or experts.

    Args:
        init: an initializer.

    Raises:
        TypeError: `init` is not an initializer of jaxinit.
        ValueError: the call names an axis twice, or one that the shape lacks.

    Example:
        >>> init = jaxinit.at_call(jaxinit.orthogonal())
        >>> experts = init(jax.random.key(0), (4, 8, 8), jnp.float32, 1, 2)
        >>> bool(jnp.allclose(experts[3] @ experts[3].T, jnp.eye(8), atol=1e-5))
        True

    Differs from jax.nn.initializers.variance_scaling, where axes that are not named are spatial
    and count in the fans.
    """

    init: Initializer

    def __post_init__(self) -> None:
        require_initializer("init", self.init)

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
        init = self.init
        if isinstance(init, WithLayout):
            roles = Layout(in_axis, out_axis).view(_arguments.dimensions(shape)).roles
            init = dataclasses.replace(init, layout=Layout(roles.into, roles.out, batch_axis=roles.spatial))
        return init(key, shape, dtype, out_sharding)
