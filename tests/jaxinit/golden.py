"""A few float32 values of every initializer for jax.random.key(0), as they were when first released.

`python -m tests.jaxinit.golden` writes them anew: only when a change of values is meant, and
is in the CHANGELOG.
"""

import json
import pathlib
from typing import Any

import jax
import numpy as np

import jaxinit
from tests.jaxinit import cases

PATH = pathlib.Path(__file__).with_suffix(".json")
# Beside each initializer's case: the other kernels, and stacked weights.
MORE: dict[str, dict[str, Any]] = {
    "trunc_normal(far)": {"a": 8.0, "b": 9.0},
    "trunc_normal(thin)": {"a": 0.5, "b": 0.501},
    "uniform(offset)": {"a": 3.0, "b": 3.1},
    "orthogonal(stacked)": {"layout": jaxinit.Layout(batch_axis=0)},
    "sparse(stacked)": {"layout": jaxinit.Layout(batch_axis=0)},
    "kaiming_uniform(torch)": {"layout": jaxinit.TORCH},
}
COMPOSED: dict[str, jaxinit.Initializer] = {
    "composed.sum_of_uniforms": jaxinit.composed.sum_of_uniforms(-0.125, 0.125),
    "composed.truncated": jaxinit.composed.truncated(jaxinit.kaiming_normal(), -1, 3, keep_std=True),
    "composed.with_zero_row": jaxinit.composed.with_zero_row(jaxinit.normal(), 1),
    "composed.concatenated": jaxinit.composed.concatenated((jaxinit.normal(), jaxinit.uniform(-1.0, 1.0))),
}
LABELS = [*cases.NAMES, *MORE, *COMPOSED]


def values(label: str) -> list[float]:
    """Twelve values of a small draw, from its first to its last."""
    init = COMPOSED.get(label) or cases.build(label.partition("(")[0], **MORE.get(label, {}))
    shape = (3, 4, 6) if "stacked" in label or "dirac" in label else (4, 6)
    drawn = np.asarray(init(jax.random.key(0), shape)).ravel()
    chosen: list[float] = drawn[np.linspace(0, drawn.size - 1, 12).astype(int)].tolist()
    return chosen


if __name__ == "__main__":
    lines = (f"  {json.dumps(label)}: {json.dumps(values(label))}" for label in LABELS)
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n")
