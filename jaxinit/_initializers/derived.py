"""Initializers whose distribution follows from that of another initializer."""

import dataclasses
from collections.abc import Callable
from typing import Any

from jaxinit._initializers.base import Elementwise, WithLayout
from jaxinit._sampling.source import Array
from jaxinit.layouts import FLAX, View, as_layout


class Derived(Elementwise, WithLayout):
    """Draw as another initializer does, from a distribution that follows from the one of that initializer.

    The dtype and the layout are those of `init`, unless they are given. A change of one changes `init` too.
    """

    init: Elementwise
    layout: Any = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.init, Elementwise):
            raise TypeError(
                "`init` must be an initializer of jaxinit with a distribution, such as jaxinit.normal(), "
                f"got {self.init!r}"
            )
        self._canonical(dtype=self.init.dtype if self.dtype is None else self.dtype)
        super().__post_init__()
        layout = self.init.layout if isinstance(self.init, WithLayout) else FLAX
        self._canonical(layout=as_layout(layout if self.layout is None else self.layout))
        shared = {"layout": self.layout} if isinstance(self.init, WithLayout) else {}
        self._canonical(init=dataclasses.replace(self.init, dtype=self.dtype, **shared))

    def view(self, shape: tuple[int, ...]) -> View:
        return self.init.view(shape)

    @property
    def draw_from(self) -> Callable[..., Array]:  # a property, so that a warning names the same frame
        return self.init.draw_from

    def _is_printed(self, field: "dataclasses.Field[Any]") -> bool:
        return field.name not in ("dtype", "layout") and super()._is_printed(field)
