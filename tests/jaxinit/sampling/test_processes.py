"""Several processes draw together what one draws alone."""

import json
import os
import socket
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

from tests.jaxinit import cases
from tests.jaxinit.sampling import worker

COUNT = 4


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, Any]]:
    """What each process holds."""
    with socket.socket() as held:
        # Bound until they end, so that no one else is given the port. The coordinator shares it.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.jaxinit.sampling.worker", str(port), str(COUNT), str(index)],
                env={**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // COUNT}"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in range(COUNT)
        ]
        try:
            outputs = [process.communicate(timeout=120) for process in processes]
        finally:
            for process in processes:
                process.kill()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@cases.each_name
def test_four_processes_draw_what_one_draws(name: str, drawn: list[dict[str, Any]]) -> None:
    shape = cases.shape_of(name)
    alone = cases.build(name)(jax.random.key(worker.SEED), shape)
    together = np.full(shape, np.nan, np.float32)
    for held in drawn:
        assert len(held[name]) == 8 // COUNT
        for bounds, values in held[name]:
            region = tuple(slice(start, stop) for start, stop in bounds)
            assert np.isnan(together[region]).all()
            together[region] = values
    cases.assert_same(name, together, alone)
