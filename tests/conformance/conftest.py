"""Error rates for tests that run the suite."""

import pytest

from jaxinit_conformance import suite
from jaxinit_conformance.faults import catch
from jaxinit_conformance.statistics.tests import RATES, Rates
from tests.jaxinit.draws import FALSE_ALARM

# A user's false alarm is one in a million runs. Of as many runs as the tests make, one in ten thousand would have one.
RARE = Rates(FALSE_ALARM, RATES.miss)


@pytest.fixture
def rare_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "RATES", RARE)
    monkeypatch.setattr(catch, "CHECK_RATES", RARE.over(suite.QUICK_CHECKS))
