"""Values never change from one release to the next."""

import json

import numpy as np
import pytest

from tests.jaxinit import cases, golden

GOLDEN: dict[str, list[float]] = json.loads(golden.PATH.read_text())


def test_every_initializer_has_golden_values() -> None:
    assert set(GOLDEN) == set(golden.LABELS)
    assert set(cases.NAMES) <= set(GOLDEN)


@pytest.mark.parametrize("label", golden.LABELS)
def test_values_are_those_of_old(label: str) -> None:
    # LAPACK rounds as it likes. The rest is ours to the bit.
    tolerance = 1e-6 if label.startswith("orthogonal") else 0.0
    np.testing.assert_allclose(golden.values(label), GOLDEN[label], rtol=0, atol=tolerance)
