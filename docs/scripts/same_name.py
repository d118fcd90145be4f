"""Write the table of docs/background/same_name.md: the same call in each library that has an adapter.

    python docs/scripts/same_name.py

A row is a call of the suite's cases. A cell is what the report of the library says about it. A
cell says only what every seed shows, so a test can compare the page with fresh reports.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxinit_conformance import adapters, suite, targets
from jaxinit_conformance.checks.cases import ELEMENTWISE, FAN_SCHEMES, Case, everything
from jaxinit_conformance.checks.check import Result, Sample
from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.reference.expected import Expected

PAGE = Path(__file__).parents[1] / "background" / "same_name.md"
HEAD = "| call | torch |"
TARGETS = ("jaxinit", *adapters.LIBRARIES)
WIDEST = 3.5
"""In standard deviations. Some normals of a sample are farther out, but no truncated or uniform number is."""


def rows() -> dict[str, list[Case]]:
    """Return the cases of each call: every set of arguments once, and the defaults in a narrow dtype."""
    chosen: dict[tuple[str, ...], Case] = {}
    for kind, cases in everything(quick=False, knows_layouts=False).items():
        for case in sorted(cases, key=lambda case: not case.quick):
            is_told = case.dtype == "float32" or (case in ELEMENTWISE and case.dtype == "bfloat16")
            if is_told and not is_uncut(case):
                chosen.setdefault((kind, case.initializer, case.dtype, *case.keywords), case)
    calls: dict[str, list[Case]] = {}
    for case in sorted(chosen.values(), key=lambda case: torch_init.initializers().index(case.initializer)):
        calls.setdefault(call(case), []).append(case)
    return calls


def is_uncut(case: Case) -> bool:
    """Return whether bounds are far out in standard deviations too, so that few reports show what is drawn there."""
    given = torch_init.parameters(case.initializer) | case.keywords
    return case.initializer == "trunc_normal" and min(-given["a"], given["b"]) > WIDEST


def call(case: Case) -> str:
    """Return the call that a user writes, with the shape if it matters."""
    given = (
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value!r}" for name, value in case.arguments
    )
    kernel = f", {' x '.join(map(str, case.shape))}" if case.initializer in FAN_SCHEMES else ""
    narrow = "" if case.dtype == "float32" else f", {case.dtype}"
    return f"`{case.initializer}({', '.join(given)})`{kernel}{narrow}"


def column(target: str, seed: int) -> dict[str, str]:
    """Return what a target does on each call."""
    labels = "|".join(re.escape(f"[{case.label}]") for cases in rows().values() for case in cases)
    report = suite.run(targets.load(target), seed, select=f"({labels})$")
    return {text: cell(report, cases) for text, cases in rows().items()}


def cell(report: suite.Report, cases: list[Case]) -> str:
    """Return that the call is absent, that nothing differs, what it raises, or what differs."""
    asked = [(case.initializer, case.label) for case in cases]
    found = {check.claim: seen for check, seen in report.results if (check.initializer, check.case) in asked}
    failed = [claim for claim, seen in found.items() if not seen.passed]
    if not failed:
        return "same" if found else "absent"
    if found[failed[0]].expected == "no exception":
        return str(found[failed[0]].observed).partition(": ")[2]
    samples = [sample for sample in report.samples if sample.case in cases and sample.case in ELEMENTWISE]
    return ", ".join(text for sample in samples for text in differences(sample, found)) or ", ".join(failed)


def differences(sample: Sample, found: dict[str, Result]) -> Iterator[str]:
    """Yield what differs from torch: an interval, a scale, few values."""
    values = sample.values(found["shape"].samples or 0)
    case = sample.case
    yield from spread(values.astype(np.float64), torch_init.expected(case.initializer, case.keywords, case.torch_shape))
    if "distinct values" in found and not found["distinct values"].passed:
        yield f"{np.unique(values).size} distinct values"


def spread(values: np.ndarray, expected: Expected) -> Iterator[str]:
    """Yield the bounds and the standard deviation of a sample if they are not torch's.

    The extremes of a sample converge fast and the standard deviation slowly, so it has one digit. A cut is
    measured in that standard deviation, or in torch's.
    """
    std, ends, wanted = values.std(), interval(values.min(), values.max()), interval(expected.low, expected.high)
    bounded = abs(values - values.mean()).max() < WIDEST * std or std == 0
    if expected.kind == "normal" or not bounded:
        told = expected.std if abs(std / expected.std - 1) < 0.05 else float(f"{std:.1g}")
        yield from [f"std {told:g}"] if told != expected.std else []
        yield from [f"cut at {abs(values).max() / told:.2g} std"] if bounded else []
    elif ends != wanted:
        yield ends


def interval(low: float, high: float) -> str:
    """Return both ends to 1% or 10% of the width, so that the extremes of a sample give the bounds."""
    if low == high:  # the value may depend on the version, by rounding
        return "one value"
    if math.isinf(high - low):
        return f"{low:.2g} to {high:.2g}"
    digits = 1 - math.floor(math.log10(high - low))
    return f"{round(low, digits) + 0.0:.4g} to {round(high, digits) + 0.0:.4g}"


def torchs(case: Case) -> str:
    """Return torch's distribution of an entry, if entries are drawn one by one."""
    if case not in ELEMENTWISE:
        return "yes"
    expected = torch_init.expected(case.initializer, case.keywords, case.torch_shape)
    if expected.kind == "normal":
        return f"normal, mean {round(expected.loc, 9) + 0.0:.3g}, std {expected.scale:.3g}"
    return f"{expected.kind.replace('_', ' ')}, {interval(expected.low, expected.high)}"


def table(seed: int) -> str:
    """Return the table in Markdown."""
    columns = [column(target, seed) for target in TARGETS]
    lines = [f"{HEAD} {' | '.join(TARGETS)} |", "|---" * (2 + len(TARGETS)) + "|"]
    for text, cases in rows().items():
        lines.append(f"| {' | '.join([text, torchs(cases[0]), *(each[text] for each in columns)])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().rpartition(HEAD)[0] + table(suite.fresh_seed()))
