"""Whether torch's seed gives the same numbers in the port, parameter by parameter.

Orthogonal matrices differ by the rounding of two QR decompositions, times the condition number of the matrix that is
decomposed. Numbers from another place of torch's stream differ by as much as the numbers themselves.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

import jaxinit

from . import torch_model
from .finding import Finding
from .models.model import PortModel
from .sources import Matching

ROUNDING = 1e-3
"""Differences up to this share of the largest entry are rounding.

Of square orthogonal matrices of size 64, 1% differ by more than 1e-5. Of 140 000 the farthest differed by 2.4e-4.
"""


def compare(module: torch.nn.Module, port: PortModel, model: Any, matching: Matching, seed: int) -> dict[str, bool]:
    """Return by path whether `jaxinit.nnx.init` with torch's generator draws what torch drew for `module`.

    Raises:
        ValueError: the port cannot be drawn from torch's generator, such as one with stacked layers.
    """
    drawn = port.arrays(port.replay(jaxinit.TorchGenerator(seed)))
    loaded = port.arrays(port.load(model, torch_model.state(module))[0])
    return {path: _same(np.asarray(drawn[path]), np.asarray(loaded[path])) for path in matching.tensors}


def _same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    largest = np.abs(theirs).max(initial=0.0)
    return bool(np.abs(ours - theirs).max(initial=0.0) <= ROUNDING * largest)


def findings(replayed: Mapping[str, bool], seed: int) -> Iterator[Finding]:
    """Yield the first parameter whose numbers differ. Those that are drawn after it differ too."""
    wrong = [path for path, same in replayed.items() if not same]
    for path in wrong[:1]:
        others = f", as do {len(wrong) - 1} others" if wrong[1:] else ""
        yield Finding(path, "seed", f"`{path}`: from torch's seed {seed} its numbers differ from torch's{others}")
