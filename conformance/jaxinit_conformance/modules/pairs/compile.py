"""Compiling programs that run a few times, so that compiling takes most of the time."""

from collections.abc import Callable
from typing import Any

import jax


def compile_unoptimized(function: Callable[..., Any], *operands: Any) -> Callable[..., Any]:
    """Compile a function for operands of these shapes without optimizing machine code, in half the time."""
    program: Callable[..., Any] = (
        jax.jit(function).lower(*operands).compile(compiler_options={"xla_backend_optimization_level": "0"})
    )
    return program
