"""One parameter or buffer of a recipe, as it is shown."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from jaxinit.distributions import Distribution

Kind = Literal["parameter", "buffer", "computed buffer"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """Represent where a parameter's values end, as a recipe stores it."""

    name: str
    node: int
    kind: Kind
    module: str
    layer: str
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Form:
    """Represent what arrays are asked for: their dtype, if not their own, their axes, and how each is laid out on
    devices.
    """

    dtype: np.dtype | None
    is_flax: bool
    shardings: Mapping[str, Any]

    def dtype_of(self, own: np.dtype) -> np.dtype:
        """Return the dtype that a parameter of dtype `own` is given."""
        return own if self.dtype is None or not jnp.issubdtype(own, jnp.floating) else self.dtype


@dataclasses.dataclass(frozen=True)
class Step:
    """Represent one thing that the constructor did: a call as text, and whether a later one overwrites it."""

    call: str
    is_overwritten: bool = False

    def __str__(self) -> str:
        return f"{self.call}, overwritten" if self.is_overwritten else self.call


@dataclasses.dataclass(frozen=True)
class RecordedParameter:
    """Represent one parameter or buffer of a recorded model.

    Args:
        name: torch's name.
        kind: `parameter`, `buffer` (also in torch's `state_dict`) or `computed buffer` (not in it).
        shape: torch's shape.
        dtype: the dtype, by name.
        module: the class of the module that owns it.
        layer: the class of `torch.nn` that this class is or derives from.
        aliases: other names of the same tensor.
        steps: what the constructor did to it, in order.
        distribution: what each entry is drawn from, or None if entries differ or are computed otherwise.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    dtype: str
    module: str
    layer: str
    aliases: tuple[str, ...]
    steps: tuple[Step, ...]
    distribution: Distribution | None
