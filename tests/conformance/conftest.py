"""Error rates for tests that make many assertions."""

import pytest

from jaxinit_conformance import suite
from jaxinit_conformance.statistics.tests import Rates
from jaxinit_conformance.weights import compare, describe
from tests.jaxinit.draws import FALSE_ALARM


@pytest.fixture
def rare_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's error is one in a million; of so many assertions that would be one in some thousand runs."""
    for module in (suite, compare, describe):
        monkeypatch.setattr(module, "RATES", Rates(FALSE_ALARM, FALSE_ALARM))
