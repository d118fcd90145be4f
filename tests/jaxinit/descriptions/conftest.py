"""Error rates for tests that make many assertions."""

import pytest

from jaxinit._descriptions import fit
from tests.jaxinit.draws import FALSE_ALARM


@pytest.fixture(autouse=True)
def _rare_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's error is one in a million. Of so many assertions that would be one in some thousand runs."""
    monkeypatch.setattr(fit, "FALSE_ALARM", FALSE_ALARM)
    monkeypatch.setattr(fit, "MISS", FALSE_ALARM)
