"""Whether an array is drawn as torch draws it."""

import dataclasses
import math
from typing import Any

import numpy as np

from jaxinit._descriptions import fit, naming
from jaxinit._descriptions.sample import Sample
from jaxinit._initializers.base import Elementwise, Initializer, WithLayout
from jaxinit._initializers.identity import dirac, eye
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit.composed import concatenated, with_zero_row
from jaxinit.distributions import Distribution
from jaxinit.layouts import FLAX


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Represent whether chance explains the array, None if it cannot be told, and what would have been found."""

    agrees: bool | None
    detectable: float = math.nan
    """The share by which another scale must differ so that it is found with probability 1 - 1e-6."""


def looks_at_places(init: Any) -> bool:
    """Return whether entries at different places are drawn differently, so that none may be left out."""
    return init is not None and not isinstance(init, Elementwise)


def judged(init: Any, layers: np.ndarray, shape: tuple[int, ...], rate: float, sample: Sample | None = None) -> Verdict:
    """Compare layers, stacked along the first axis, with the initializer of an array of `shape`.

    Of the layers of an elementwise initializer, entries may have been left out. `sample` has the entries of the layers.
    """
    match init:
        case Elementwise():
            return _drawn_from(init.distribution(shape), sample or Sample.of(layers), rate)
        case concatenated(inits=inits, axis=axis) if shape and shape[axis] % len(inits) == 0:
            parts = np.split(layers, len(inits), axis if axis < 0 else axis + 1)
            each = [
                judged(own, rows, init.part(shape), rate / len(inits)) for own, rows in zip(inits, parts, strict=True)
            ]
            return _both(*each)
        case with_zero_row(init=inner, row=row):
            rest = judged(inner, np.delete(layers, row, 1), (shape[0] - 1, *shape[1:]), rate)
            return _both(rest, Verdict(not layers[:, row].any(), 0.0))
        case eye() | dirac():
            return Verdict(all(naming.is_drawn_alike(init, layer) for layer in layers), 0.0)
        case orthogonal(gain=gain):
            found = [naming.orthogonal_gain(layer, _layout(init), rate) for layer in layers]
            return Verdict(all(each is not None and math.isclose(each, gain, rel_tol=1e-3) for each in found), 1e-3)
    return Verdict(None)


def _both(*verdicts: Verdict) -> Verdict:
    answers = [each.agrees for each in verdicts]
    agrees = False if False in answers else None if None in answers else True
    return Verdict(agrees, max(each.detectable for each in verdicts))


def _drawn_from(distribution: Distribution, sample: Sample, rate: float) -> Verdict:
    if sample.is_complex:
        return Verdict(None)
    own, has_strays = rate / fit.TESTS, bool(sample.nan or sample.infinite)
    agrees = not has_strays and (not sample.size or fit.misfit(sample, distribution, own) <= 1)
    return Verdict(agrees, fit.detectable(sample.size, distribution, own))


def _layout(init: Initializer) -> Any:
    return init.layout if isinstance(init, WithLayout) else FLAX
