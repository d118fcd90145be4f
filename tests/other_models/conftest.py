"""A seed for each test, as in `tests`."""

from tests.conftest import seed as seed
