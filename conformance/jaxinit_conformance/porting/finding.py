"""The result of a comparison of a port with its torch model."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Kind = Literal["missing", "unexpected", "distribution", "seed", "output", "signal"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One difference: where it is, and a sentence that says what torch does and what the port does."""

    path: str
    kind: Kind
    message: str


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A part of a Flax parameter, the torch tensors that it is made of, and what both are drawn from."""

    path: str
    name: str
    """The path, with torch's names if the parameter has several parts."""
    tensors: tuple[str, ...]
    shape: tuple[int, ...]
    torch: str
    port: str
    same: bool
    entries: int
    detectable: float
    """The smallest distance of distribution functions that so many entries detect, at both error rates."""


@dataclasses.dataclass(frozen=True)
class Output:
    """A module of both models, and how far its outputs are apart, as a share of torch's largest.

    The difference is NaN where the port computes without calling the module, or with another number of entries.
    """

    path: str
    torch: str
    difference: float
    tolerance: float

    @property
    def same(self) -> bool:
        return not self.difference > self.tolerance


@dataclasses.dataclass(frozen=True)
class Signal:
    """The mean over seeds of the standard deviation of a layer's activations or of a weight's gradient."""

    path: str
    quantity: Literal["activations", "gradients"]
    torch: float
    port: float
    threshold: float
    """The largest ratio, either way, that chance explains."""


@dataclasses.dataclass(frozen=True)
class PortReport:
    """A port beside its torch model.

    `conforms` says whether nothing was found. `findings` are the differences, the gravest first.
    """

    versions: Mapping[str, str]
    seed: int
    findings: tuple[Finding, ...]
    drawn: tuple[Drawn, ...]
    replayed: Mapping[str, bool]
    """Whether torch's seed gives the same numbers, by the path of the parameter."""
    outputs: tuple[Output, ...]
    signals: tuple[Signal, ...]

    @property
    def conforms(self) -> bool:
        return not self.findings

    @property
    def verdict(self) -> str:
        """One sentence: how many parameters are compared, and what was found."""
        count = len({part.path for part in self.drawn})
        if self.conforms:
            return f"The port starts as its torch model: {count} parameters are drawn from the same distributions"
        number = len(self.findings)
        return f"The port differs from its torch model in {number} place{'s' * (number > 1)}"

    def as_json(self) -> dict[str, Any]:
        """Return the content of port.json."""
        return {"verdict": self.verdict, "conforms": self.conforms, **dataclasses.asdict(self)}

    def save(self, folder: str | Path) -> None:
        """Write port.html, port.md and port.json into a folder.

        Raises:
            OSError: the folder cannot be created, or a file cannot be written.
        """
        from .page import write

        write(self, Path(folder))
