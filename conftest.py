"""Give every test eight devices, and examples their names. Run the examples of Markdown pages as written."""

import doctest
import inspect
import math
import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when it is imported

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.myst import DocTestDirectiveParser, PythonCodeBlockParser

import jaxinit
from tests import seeds
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# JAX then keeps no traces, which doubles the time of the tests. One of the runs of .ci/run asks for it.
jax.config.update("jax_check_tracer_leaks", os.environ.get("JAXINIT_CHECK_TRACER_LEAKS") == "1")

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# MKL settles the code of a function at its first call. If several threads make that call, some may get code of half
# the digits: https://github.com/pytorch/pytorch/issues/188792
for function in (torch.log, torch.erfinv):
    function(torch.full((1,), 0.5))

# The site's own scripts need sphinx, which is not for tests.
collect_ignore_glob = ["docs/*.py", "docs/_build/*"]

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=FLAGS), DocTestDirectiveParser(FLAGS)],
    patterns=["*.md"],
    excludes=["**/.venv*/**"],
).pytest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pages with torch's numbers compare bits, and torch draws other bits on a processor without AVX2."""
    for item in items:
        if item.path.suffix == ".md" and "TorchGenerator(" in item.path.read_text():
            item.add_marker(as_on_avx2)
        if (
            item.path.name == "large_models.md"
            and "kernel_metadata" not in inspect.signature(nnx.Linear.__init__).parameters
        ):
            item.add_marker(pytest.mark.skip(reason="this Flax has no kernel_metadata"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if exitstatus:
        terminalreporter.write_line(f"The same seeds again: JAXINIT_TEST_SEED={seeds.RUN}")


@pytest.fixture(autouse=True)
def _names_of_examples(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace.update(jax=jax, jnp=jnp, np=np, math=math, eqx=eqx, nnx=nnx, torch=torch, jaxinit=jaxinit)
