"""Programs that run a few times: most of their time is that of the compiler."""

from collections.abc import Callable
from typing import Any

import jax


def compile_unoptimized(function: Callable[..., Any], *operands: Any) -> Callable[..., Any]:
    """The function for operands of these shapes, as XLA makes it without optimising machine code: in half the time."""
    program: Callable[..., Any] = (
        jax.jit(function).lower(*operands).compile(compiler_options={"xla_backend_optimization_level": "0"})
    )
    return program
