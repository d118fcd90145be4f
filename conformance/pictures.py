"""Histograms of the draws, as SVG to be set into a page."""

import io
import math
from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from conformance import reference
from conformance.checks import Sample

_SHOWN = 100_000


def histograms(samples: Iterable[Sample]) -> dict[str, str]:
    """One picture for each initializer with a finely checked case, by name."""
    return {sample.case.initializer: _histogram(sample) for sample in samples if sample.case.fine}


def _histogram(sample: Sample) -> str:
    """The target's draws and torch's as steps, over the exact density."""
    case = sample.case
    expected = reference.expected(case.initializer, case.keywords, case.torch_shape)
    ours, theirs = sample.values(_SHOWN)[:_SHOWN].astype(np.float64), sample.torch_values(_SHOWN)
    low, high = (bound if math.isfinite(bound) else expected.scipy.ppf(at) for bound, at in _ends(expected))
    x = np.linspace(low, high, 400)
    figure = Figure(figsize=(4.2, 2.2), layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(x, expected.scipy.pdf(x), color="#9aa7b8", alpha=0.45, linewidth=0, label="exact density")
    for values, colour, label in ((theirs, "#d9822b", "torch"), (ours, "#2f6fb5", "target")):
        axes.hist(values, bins=80, range=(low, high), density=True, histtype="step", color=colour, label=label)
    axes.set_yticks([])
    axes.legend(frameon=False, fontsize=7)
    for spine in ("top", "right", "left"):
        axes.spines[spine].set_visible(False)
    # A fixed salt and no date: equal runs make equal files.
    with mpl.rc_context({"svg.hashsalt": case.initializer, "svg.fonttype": "none"}):
        page = io.StringIO()
        figure.savefig(page, format="svg", transparent=True, metadata={"Date": None})
    svg = page.getvalue()
    return svg[svg.index("<svg") :]


def _ends(expected: reference.Expected) -> tuple[tuple[float, float], tuple[float, float]]:
    return (expected.low, 1e-5), (expected.high, 1 - 1e-5)
