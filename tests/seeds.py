"""Seeds that no one chose, and any must pass. All follow from one of the run, which a run that fails tells."""

import os
import random
import secrets

RUN = os.environ.setdefault("JAXINIT_TEST_SEED", str(secrets.randbits(32)))  # for the run's other processes too


def fresh(name: str) -> int:
    """The seed of what is called so."""
    return random.Random(f"{RUN} {name}").getrandbits(31)
