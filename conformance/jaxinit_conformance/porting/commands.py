"""The command that compares a port with its torch model: `jaxinit port`."""

import importlib
import json
from pathlib import Path
from typing import Any

from ..console import CannotRun, console, printable
from .port import port as compare


def port(
    torch_build: str, flax_build: str, inputs: str | None, rename: Path | None, seed: int | None, out: Path
) -> int:
    """Compare a port with its torch model, write the report, and print the findings."""
    builds = named("TORCH_BUILD", torch_build), named("FLAX_BUILD", flax_build)
    given = None if inputs is None else named("--inputs", inputs)
    try:
        found = compare(*builds, given() if callable(given) else given, rename=_names(rename), seed=seed)
    except (TypeError, ValueError) as error:
        raise CannotRun(error) from None
    try:
        found.save(out)
    except OSError as error:
        raise CannotRun(f"--out must be a folder that a report can be written to, got {str(out)!r}: {error}") from None
    out_to = console()
    out_to.print(printable(found.verdict), markup=False, soft_wrap=True)
    for finding in found.findings:
        out_to.print(f"{finding.kind}: {printable(finding.message)}", markup=False, soft_wrap=True)
    out_to.print(f"Report: {out / 'port.html'}", markup=False, soft_wrap=True)
    return 0 if found.conforms else 1


def named(argument: str, text: str) -> Any:
    """Return what `package.module:name` names.

    Raises:
        CannotRun: the text has another form, or the name cannot be imported.
    """
    module, _, name = text.partition(":")
    if not module or not name:
        raise CannotRun(f"{argument} must be package.module:name, got {text!r}")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise CannotRun(f"{argument} {text!r} cannot be imported: {error}") from None
    if not hasattr(found, name):
        raise CannotRun(f"{argument} must name something in {module}, which has no {name!r}")
    return getattr(found, name)


def _names(file: Path | None) -> dict[str, str] | None:
    """Return the names in a JSON file."""
    if file is None:
        return None
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotRun(f"--rename must be a JSON file, got {str(file)!r}: {error}") from None
    if not isinstance(names, dict):
        raise CannotRun(f"--rename must hold a JSON object of names, got {type(names).__name__}")
    return names
