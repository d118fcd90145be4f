"""Error rates for tests that compare many ports."""

import importlib

import pytest

from tests.conformance.conftest import RARE

PORT = importlib.import_module("jaxinit_conformance.porting.port")  # the package has a function of this name


@pytest.fixture(autouse=True)
def _rare_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PORT, "_RATES", RARE.over(2))
