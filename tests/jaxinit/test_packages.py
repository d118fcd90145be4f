"""Which part of jaxinit may import which, and how large a part may be. The sources are read, nothing is run."""

import ast
import collections
import pathlib

import pytest

import jaxinit

ROOT = pathlib.Path(jaxinit.__file__).parent

# From the floor up: a part may import the parts that it names, and nothing else of jaxinit.
NUMBERS = {"_arguments", "distributions", "layouts", "_sampling"}
VALUES = {*NUMBERS, "_initializers", "composed", "defaults", "scaling"}
MAY_IMPORT: dict[str, set[str]] = {
    "_arguments": set(),
    "distributions": set(),
    "layouts": {"_arguments"},
    "_sampling": NUMBERS - {"_sampling"},
    "_torch_generator": NUMBERS,
    "_initializers": NUMBERS,
    "composed": {*NUMBERS, "_initializers"},
    "defaults": {*NUMBERS, "_initializers", "composed"},
    "scaling": {*NUMBERS, "_initializers"},
    "_recipes": {*VALUES, "_torch_generator"},
    "_models": {*VALUES, "_torch_generator", "_recipes"},
    "_descriptions": {*VALUES, "_models"},
    "nnx": {"_models", "_torch_generator"},
    "linen": {"_models", "_torch_generator"},
    "equinox": {"_models", "_sampling", "_torch_generator"},
    "haiku": {"_initializers"},
    "keras": {"_arguments", "_initializers", "layouts"},
    "__init__": {*VALUES, "_torch_generator", "_recipes", "_descriptions", "nnx", "linen", "equinox", "haiku", "keras"},
}
MOST_FILES = 12


def part_of(module: str) -> str:
    """Return the part of jaxinit that a dotted module name belongs to."""
    return [*module.split("."), "__init__"][1]


def imported(source: str) -> set[str]:
    """Return the parts of jaxinit that a source imports, anywhere in it."""
    parts = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "jaxinit":
            names = [f"jaxinit.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        parts |= {part_of(name) for name in names if name.split(".")[0] == "jaxinit"}
    return parts


def wrong_arrows(part: str, source: str) -> set[str]:
    """Return the parts that a source of `part` imports and may not."""
    return imported(source) - MAY_IMPORT[part] - {part}


FILES: dict[str, list[pathlib.Path]] = {
    path.relative_to(ROOT).with_suffix("").parts[0]: [] for path in ROOT.glob("**/*.py")
}
for path in ROOT.glob("**/*.py"):
    FILES[path.relative_to(ROOT).with_suffix("").parts[0]].append(path)


def test_every_part_has_its_row() -> None:
    assert set(FILES) == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_the_parts_below_it(part: str) -> None:
    wrong = {path.name: wrong_arrows(part, path.read_text()) for path in FILES[part]}
    assert not {name: parts for name, parts in wrong.items() if parts}


def test_no_two_parts_import_each_other() -> None:
    def below(part: str) -> set[str]:
        return MAY_IMPORT[part].union(*map(below, MAY_IMPORT[part]))

    assert all(part not in below(part) for part in MAY_IMPORT)


@pytest.mark.parametrize(
    ("part", "line", "wrong"),
    [
        ("_sampling", "from jaxinit._initializers.base import Initializer", {"_initializers"}),
        ("_initializers", "from jaxinit import TorchGenerator", {"TorchGenerator"}),
        ("_initializers", "    from jaxinit._torch_generator import generator", {"_torch_generator"}),
        ("layouts", "import jaxinit.distributions", {"distributions"}),
        ("distributions", "from jaxinit import _arguments", {"_arguments"}),
        ("_models", "import jaxinit", {"__init__"}),
    ],
)
def test_a_wrong_arrow_is_seen(part: str, line: str, wrong: set[str]) -> None:
    source = f"if True:\n{line}" if line.startswith(" ") else line
    assert wrong_arrows(part, source) == wrong


def test_no_folder_has_more_files_than_a_reader_can_hold() -> None:
    repository = ROOT.parent
    folders = [path.parent for top in ("jaxinit", "tests/jaxinit") for path in (repository / top).glob("**/*.py")]
    counted = collections.Counter(folder for folder in folders)
    assert not {str(folder): count for folder, count in counted.items() if count > MOST_FILES + 1}  # and __init__


def test_every_private_package_says_why_it_exists() -> None:
    packages = [
        path for path in ROOT.iterdir() if path.is_dir() and path.name.startswith("_") and path.name != "__pycache__"
    ]
    assert {path.name for path in packages} == {name for name in MAY_IMPORT if name[0] == "_"} - {
        "_arguments",
        "__init__",
    }
    for package in packages:
        lines = (package / "README.md").read_text().splitlines()
        assert 5 <= len(lines) <= 20
        named = {path.stem for path in package.glob("*.py")} - {"__init__"}
        assert not {name for name in named if f"`{name}`" not in "\n".join(lines)}
