"""The result of a comparison of a port with its torch model."""

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

_MANY = 10
_SEVERAL = 5
_DEFAULT = "(Flax's default)"
_WITHOUT_COUNTERPART = {"missing": "of torch's tensors", "unexpected": "parameters of the port"}

Kind = Literal["missing", "unexpected", "distribution", "seed", "output", "signal"]
Incomparable = Literal["", "not called", "another shape", "random in torch"]
"""Why an output is not compared. It is empty if it is."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """Represent one difference: where it is, and a sentence that says what torch does and what the port does."""

    path: str
    kind: Kind
    message: str


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A part of a parameter of the port, the torch tensors that it is made of, and what both are drawn from."""

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
    """Represent a module of both models, and how far its outputs are apart, as a share of torch's largest.

    The difference is NaN where `incomparable` says why. It is infinite where one output alone is NaN or infinite.
    """

    path: str
    torch: str
    difference: float
    tolerance: float
    incomparable: Incomparable = ""
    shapes: tuple[tuple[int, ...], ...] = ()
    """The shapes in torch and in the port, if these have another number of entries."""

    @property
    def same(self) -> bool:
        """Return whether no difference is seen. The output of the whole model, whose path is empty, must be seen."""
        return bool(self.path) if self.incomparable else self.difference <= self.tolerance


@dataclasses.dataclass(frozen=True)
class Signal:
    """Represent the mean over seeds of the standard deviation of a layer's activations or of a weight's gradient."""

    path: str
    quantity: Literal["activations", "gradients"]
    torch: float
    port: float
    threshold: float
    """The largest ratio, either way, that chance explains."""


@dataclasses.dataclass(frozen=True)
class PortReport:
    """Represent a port beside its torch model.

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
    def compared(self) -> int:
        """Return the number of outputs that were compared."""
        return sum(not row.incomparable for row in self.outputs)

    @property
    def summary(self) -> list[Finding]:
        """Return the findings, one for all that are alike.

        Alike are findings whose paths differ only in the numbers of blocks, and parameters that are drawn from one
        distribution in torch and from one kind of distribution in the port. Where many parameters have no counterpart,
        their names differ, and all of them are alike. Where several distributions of torch are Flax's default in the
        port, torch has a rule that depends on the shape, and all of them are alike.
        """
        defaults = [each.message for each in self.findings if each.message.endswith(_DEFAULT)]
        has_rule = len({re.sub("`[^`]*`|, yours .*", "", message) for message in defaults}) > _SEVERAL
        kinds = collections.Counter(finding.kind for finding in self.findings)
        alike: dict[tuple[str, str], list[Finding]] = {}
        for finding in self.findings:
            block = re.sub(r"(?<![^._])\d+(?![^.])", "", finding.path)
            rule = re.sub("`[^`]*`", "", finding.message)
            torch, is_drawn, port = rule.partition(", yours ")
            if is_drawn:
                block, rule = "", f"{torch} {re.sub(r'-?[0-9.]+', '', port)}"
            if has_rule and port.endswith(_DEFAULT):
                rule = _DEFAULT
            if finding.kind in _WITHOUT_COUNTERPART and kinds[finding.kind] > _MANY:
                block, rule = "", finding.kind
            alike.setdefault((block, rule), []).append(finding)
        return [_with_count(found, rule) for (_, rule), found in alike.items()]

    @property
    def worst(self) -> list[Finding]:
        """Return three findings of the summary, of as many kinds as there are."""
        summary = self.summary
        kinds = [finding.kind for finding in summary]
        ranks = [kinds[:place].count(kind) for place, kind in enumerate(kinds)]
        return [summary[place] for place in sorted(range(len(ranks)), key=ranks.__getitem__)[:3]]

    @property
    def verdict(self) -> str:
        """Return one sentence: how much was compared, and what was found."""
        count = len({part.path for part in self.drawn})
        if self.conforms:
            agree = f", and {self.compared} outputs agree" if self.outputs else ""
            return (
                f"The port starts as its torch model: {count} parameters are drawn from the same distributions{agree}"
            )
        number, alike = len(self.findings), len(self.summary)
        kinds = f", of {alike} sorts" if alike < number else ""
        return f"The port differs from its torch model in {number} place{'s' * (number > 1)}{kinds}"

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


def _with_count(alike: Sequence[Finding], rule: str) -> Finding:
    """Return the first of several findings that are alike by a rule, with the number of the others."""
    if not alike[1:]:
        return alike[0]
    first, kind = alike[0], alike[0].kind
    more = "more like it in other parameters" if ", yours " in first.message else "more like it in other blocks"
    if rule == _DEFAULT:
        more = "more parameters keep Flax's default, where torch draws from other distributions"
    if kind in _WITHOUT_COUNTERPART and len(alike) > _MANY:
        more = f"more {_WITHOUT_COUNTERPART[kind]} have no counterpart. If the names differ, tell them with `rename`"
    return dataclasses.replace(first, message=f"{first.message}. {len(alike) - 1} {more}")
