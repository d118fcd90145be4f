"""The command that compares a port with its torch model: `jaxinit port`."""

from pathlib import Path

from ..console import CannotRun, console, imported, imported_function, json_in, names_in, printable
from .port import port as compare


def port(
    torch_build: str,
    flax_build: str,
    inputs: str | None,
    rename: Path | None,
    transposed: tuple[str, ...],
    seed: int | None,
    out: Path,
) -> int:
    """Compare a port with its torch model, write the report, and print the findings."""
    builds = imported_function("TORCH_BUILD", torch_build), imported_function("FLAX_BUILD", flax_build)
    given = None if inputs is None else imported("--inputs", inputs)
    names, matrices = _renames(rename), list(transposed) or None
    try:
        found = compare(*builds, given() if callable(given) else given, rename=names, transposed=matrices, seed=seed)
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


def _renames(file: Path | None) -> dict[str, str] | list[tuple[str, str]] | None:
    """Return the names, or the pairs of a regular expression and its replacement, that a JSON file holds."""
    if file is None:
        return None
    content = json_in(file)
    if isinstance(content, list) and all(
        isinstance(pair, list) and [*map(type, pair)] == [str, str] for pair in content
    ):
        return [(pattern, replacement) for pattern, replacement in content]
    return names_in(file, "torch's names to the port's, or a list of pairs of a regular expression and its replacement")
