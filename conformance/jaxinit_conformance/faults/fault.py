"""A mistake that is planted, to see whether the suite catches it."""

import dataclasses
import types
from typing import Any

import jaxinit

from ..targets import Target


@dataclasses.dataclass(frozen=True)
class Fault:
    """A mistake, the initializer that it is made in, and the claims that it breaks."""

    name: str
    initializer: str
    claims: str
    """A regular expression over claims; the check that catches the fault is one of these."""
    mistake: Any

    def target(self) -> Target:
        """The mistaken initializer, and nothing else that could be checked."""
        return Target(self.name, types.SimpleNamespace(Layout=jaxinit.Layout, **{self.initializer: self.mistake}))


class ModuleFault(Fault):
    """A mistake about a torch module, made in the namespace for whole models."""

    def target(self) -> Target:
        return Target(self.name, types.SimpleNamespace(nnx=self.mistake))
