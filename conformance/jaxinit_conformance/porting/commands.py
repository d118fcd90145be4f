"""The command that compares a port with its torch model: `jaxinit port`."""

from pathlib import Path

from ..console import CannotRun, console, imported, names_in, printable
from .port import port as compare


def port(
    torch_build: str, flax_build: str, inputs: str | None, rename: Path | None, seed: int | None, out: Path
) -> int:
    """Compare a port with its torch model, write the report, and print the findings."""
    builds = imported("TORCH_BUILD", torch_build), imported("FLAX_BUILD", flax_build)
    given = None if inputs is None else imported("--inputs", inputs)
    names = names_in(rename, "torch's names to the port's")
    try:
        found = compare(*builds, given() if callable(given) else given, rename=names or None, seed=seed)
    except (TypeError, ValueError) as error:
        raise CannotRun(error) from None
    try:
        found.save(out)
    except OSError as error:
        raise CannotRun(f"--out must be a folder that a report can be written to, got {str(out)!r}: {error}") from None
    out_to = console()
    out_to.print(printable(found.verdict), markup=False, soft_wrap=True)
    for finding in found.summary:
        out_to.print(f"{finding.kind}: {printable(finding.message)}", markup=False, soft_wrap=True)
    out_to.print(f"Report: {out / 'port.html'}", markup=False, soft_wrap=True)
    return 0 if found.conforms else 1
