"""Histograms and Q-Q plots of the draws, as SVG."""

import io
import math
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..checks.cases import Case
from ..checks.check import Sample
from ..checks.orthogonal import haar_coordinate
from ..checks.sparse import sparse_std
from ..reference import torch_init

_SHOWN = 100_000  # entries: enough that the steps of the histogram look smooth


def of_samples(samples: Iterable[Sample]) -> dict[str, str]:
    """Return one picture for each initializer that draws: of a fine case, or of the first."""
    shown: dict[str, Sample] = {}
    for sample in samples:
        if sample.case.fine or sample.case.initializer in ("orthogonal", "sparse"):
            shown.setdefault(sample.case.initializer, sample)
    return {name: _picture(sample) for name, sample in shown.items()}


def _density(case: Case) -> Any:
    """Return scipy's distribution of an entry. For sparse, it is that of an entry that is not zero."""
    if case.initializer == "orthogonal":
        rows, *rest = case.torch_shape
        return haar_coordinate(max(rows, math.prod(rest)), case.keywords.get("gain", 1.0))
    if case.initializer == "sparse":
        return torch_init.expected("normal", {"std": sparse_std(case)}, case.torch_shape).scipy
    return torch_init.expected(case.initializer, case.keywords, case.torch_shape).scipy


def _entries(case: Case, values: np.ndarray) -> np.ndarray:
    entries = values[:_SHOWN].astype(np.float64)
    return entries[entries != 0] if case.initializer == "sparse" else entries


def _picture(sample: Sample) -> str:
    """Draw a histogram and a Q-Q plot side by side."""
    case = sample.case
    exact = _density(case)
    drawn = {"torch": sample.torch_values(_SHOWN), "target": sample.values(_SHOWN)}
    entries = {name: _entries(case, values) for name, values in drawn.items()}
    figure = Figure(figsize=(6.4, 2.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    _histogram(left, exact, entries)
    _quantiles(right, exact, entries)
    for axes in (left, right):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    return as_svg(figure, case.initializer)


def as_svg(figure: Figure, salt: str) -> str:
    """Return a figure as SVG for a page. With a fixed salt and no date, equal runs make equal files."""
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        page = io.StringIO()
        figure.savefig(page, format="svg", transparent=True, metadata={"Date": None})
    svg = page.getvalue()
    return svg[svg.index("<svg") :]


COLOURS = {"torch": "#d9822b", "target": "#2f6fb5"}


def _histogram(axes: Axes, distribution: Any, samples: dict[str, np.ndarray]) -> None:
    """Draw the histograms as steps over the exact density."""
    # To a bound where the density jumps, else to the quantile 1e-5.
    low, high = (
        bound if distribution.pdf(bound) > 0 else distribution.ppf(at)
        for bound, at in zip(distribution.support(), (1e-5, 1 - 1e-5), strict=True)
    )
    x = np.linspace(low, high, 400)
    axes.fill_between(x, distribution.pdf(x), color="#9aa7b8", alpha=0.45, linewidth=0, label="exact density")
    for name, values in samples.items():
        axes.hist(values, bins=80, range=(low, high), density=True, histtype="step", color=COLOURS[name], label=name)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.legend(frameon=False, fontsize=7)


def _quantiles(axes: Axes, distribution: Any, samples: dict[str, np.ndarray]) -> None:
    """Draw the quantiles of the draws against the exact ones. On the diagonal both are equal."""
    chances = np.concatenate([[1e-4, 1e-3], np.linspace(0.005, 0.995, 199), [1 - 1e-3, 1 - 1e-4]])
    exact = distribution.ppf(chances)
    axes.plot(exact, exact, color="#9aa7b8", linewidth=1)
    for name, values in samples.items():
        axes.plot(exact, np.quantile(values, chances), ".", markersize=2, color=COLOURS[name])
    axes.set_xlabel("exact quantile", fontsize=7)
    axes.set_ylabel("quantile of draws", fontsize=7)
