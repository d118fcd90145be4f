"""The suite's folders: each imports only what stands below it, and of jaxinit public names alone."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import pytest

import jaxinit_conformance

SUITE = Path(str(resources.files(jaxinit_conformance)))
TESTS = Path(__file__).parent

ALLOWED = {
    "__init__": {"api", "porting"},
    "__main__": {"cli", "console", "porting", "recipes", "weights"},
    "cli": {"checks", "console", "faults", "reference", "report", "suite", "targets"},
    "api": {"suite", "targets", "checks", "reference", "statistics"},
    "porting": {
        "console",
        "modules",
        "modules.pairs",
        "porting.models",
        "reference",
        "report",
        "statistics",
        "suite",
    },
    "porting.models": {"modules", "modules.pairs"},
    "report": {"axes", "checks", "faults", "console", "modules", "reference", "suite"},
    "faults": {"checks", "statistics", "suite", "targets"},
    "suite": {"adapters", "checks", "modules", "reference", "replay", "statistics", "targets"},
    "replay": {"axes", "checks", "modules.pairs", "reference", "targets"},
    "modules": {"checks", "modules.pairs", "reference", "statistics"},
    "modules.pairs": set(),
    "checks": {"axes", "reference", "statistics", "targets"},
    "targets": {"adapters", "axes", "reference"},
    "adapters": {"reference"},
    "weights": {"console"},
    "recipes": {"console"},
    "statistics": {"reference"},
    "reference": set(),
    "axes": set(),
    "console": set(),
}
"""What each file of the spine and each package may import of the suite."""


@pytest.mark.parametrize("name", jaxinit_conformance.__all__)
def test_a_missing_package_is_named_with_the_command_that_installs_it(name: str) -> None:
    program = f"import sys; sys.modules['torch'] = None; import jaxinit_conformance; jaxinit_conformance.{name}"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    wanted = f"jaxinit_conformance.{name} needs torch. Install it with: pip install 'jaxinit[conformance]'"
    assert run.stderr.endswith(f"ModuleNotFoundError: {wanted}\n")


Sources = Mapping[str, str]
"""Source texts by dotted module names below the suite's."""


def sources() -> dict[str, str]:
    return {".".join(path.relative_to(SUITE).with_suffix("").parts): path.read_text() for path in SUITE.rglob("*.py")}


def room(module: str) -> str:
    """The package of a module, or the module itself if it stands on the spine."""
    package = module.rpartition(".")[0]
    return package or module


def imported(name: str, text: str, known: Sources) -> Iterator[str]:
    """Every module that a source text imports, absolute, the suite's own without its name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                longer = f"{start}.{alias.name}".removeprefix(".")
                yield next(each for each in (longer, f"{longer}.__init__", start) if each in known or each == start)


def arrows(found: Sources) -> set[tuple[str, str]]:
    pairs = {
        (room(name), room(other))
        for name, text in found.items()
        for other in imported(name, text, found)
        if other in found
    }
    return {(first, second) for first, second in pairs if first != second}


def wrong_arrows(found: Sources) -> set[tuple[str, str]]:
    return {(first, second) for first, second in arrows(found) if second not in ALLOWED[first]}


def private_names(text: str) -> set[str]:
    """The names of jaxinit, imported or read off it, that begin with an underscore."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
    return {name for name in found if name.startswith("jaxinit.") and any(part[0] == "_" for part in name.split("."))}


def test_packages_import_what_is_below_them() -> None:
    assert not wrong_arrows(sources())


def test_every_allowed_arrow_is_used() -> None:
    assert arrows(sources()) == {(first, second) for first, others in ALLOWED.items() for second in others}


def test_arrows_make_no_cycle() -> None:
    left = dict(ALLOWED)
    while free := [name for name, others in left.items() if not others & set(left)]:
        for name in free:
            del left[name]
    assert not left


@pytest.mark.parametrize(
    ("module", "line", "arrow"),
    [
        ("checks.cases", "from .. import suite", ("checks", "suite")),
        ("statistics.tests", "from ..checks.check import PlannedCheck", ("statistics", "checks")),
        ("modules.pairs.mlp", "from .. import signals", ("modules.pairs", "modules")),
        ("axes", "from .targets import draw", ("axes", "targets")),
    ],
)
def test_a_wrong_arrow_is_found(module: str, line: str, arrow: tuple[str, str]) -> None:
    found = sources()
    found[module] += f"\n\ndef late():\n    {line}\n"
    assert wrong_arrows(found) == {arrow}


def test_jaxinit_is_used_by_its_public_names() -> None:
    assert not {name: seen for name, text in sources().items() if (seen := private_names(text))}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("from jaxinit._sampling import kernels", "jaxinit._sampling.kernels"),
        ("from jaxinit import _arguments", "jaxinit._arguments"),
        ("import jaxinit._arguments", "jaxinit._arguments"),
        ("jaxinit._arguments", "jaxinit._arguments"),
    ],
)
def test_a_private_name_is_found(line: str, name: str) -> None:
    assert private_names(line) == {name}


def test_no_folder_has_more_than_twelve_files() -> None:
    folders = [folder for top in (SUITE, TESTS) for folder in (top, *top.rglob("*/"))]
    counts = {folder: len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) for folder in folders}
    assert not {folder: count for folder, count in counts.items() if count > 12}


def test_every_package_says_why_it_exists() -> None:
    packages = [path.parent for path in SUITE.rglob("__init__.py")]
    assert all(5 <= len((package / "README.md").read_text().splitlines()) <= 16 for package in packages)
