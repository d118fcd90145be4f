"""Pictures of the draws, as SVG to be set into a page."""

import io
import math
from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conformance import reference
from conformance.checks import Sample

_SHOWN = 100_000


def of_samples(samples: Iterable[Sample]) -> dict[str, str]:
    """One picture for each initializer with a finely checked case, by name."""
    return {sample.case.initializer: _picture(sample) for sample in samples if sample.case.fine}


def _picture(sample: Sample) -> str:
    """Histogram and Q-Q plot side by side."""
    case = sample.case
    expected = reference.expected(case.initializer, case.keywords, case.torch_shape)
    ours, theirs = sample.values(_SHOWN)[:_SHOWN].astype(np.float64), sample.torch_values(_SHOWN)
    figure = Figure(figsize=(6.4, 2.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    _histogram(left, expected, {"torch": theirs, "target": ours})
    _quantiles(right, expected, {"torch": theirs, "target": ours})
    for axes in (left, right):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    # A fixed salt and no date: equal runs make equal files.
    with mpl.rc_context({"svg.hashsalt": case.initializer, "svg.fonttype": "none"}):
        page = io.StringIO()
        figure.savefig(page, format="svg", transparent=True, metadata={"Date": None})
    svg = page.getvalue()
    return svg[svg.index("<svg") :]


_COLOURS = {"torch": "#d9822b", "target": "#2f6fb5"}


def _histogram(axes: Axes, expected: reference.Expected, samples: dict[str, np.ndarray]) -> None:
    """The draws as steps, over the exact density."""
    low, high = (
        bound if math.isfinite(bound) else expected.scipy.ppf(at)
        for bound, at in ((expected.low, 1e-5), (expected.high, 1 - 1e-5))
    )
    x = np.linspace(low, high, 400)
    axes.fill_between(x, expected.scipy.pdf(x), color="#9aa7b8", alpha=0.45, linewidth=0, label="exact density")
    for name, values in samples.items():
        axes.hist(values, bins=80, range=(low, high), density=True, histtype="step", color=_COLOURS[name], label=name)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.legend(frameon=False, fontsize=7)


def _quantiles(axes: Axes, expected: reference.Expected, samples: dict[str, np.ndarray]) -> None:
    """Sorted draws against the exact quantiles; on the diagonal they agree."""
    chances = np.concatenate([[1e-4, 1e-3], np.linspace(0.005, 0.995, 199), [1 - 1e-3, 1 - 1e-4]])
    exact = expected.scipy.ppf(chances)
    axes.plot(exact, exact, color="#9aa7b8", linewidth=1)
    for name, values in samples.items():
        axes.plot(exact, np.quantile(values, chances), ".", markersize=2, color=_COLOURS[name])
    axes.set_xlabel("exact quantile", fontsize=7)
    axes.set_ylabel("quantile of draws", fontsize=7)
