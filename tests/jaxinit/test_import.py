"""`import jaxinit` needs jax and numpy alone, and its public face is complete."""

import ast
import inspect
import operator
import pathlib
import subprocess
import sys

import pytest

import jaxinit
from tests.jaxinit import cases

PACKAGE = pathlib.Path(jaxinit.__file__).parent
# Modules that are loaded on first use, or import within a function, and what they import.
ON_DEMAND = {
    "equinox.py": {"equinox"},
    "layers.py": {"equinox"},
    "tree.py": {"equinox"},
    "model.py": {"equinox"},
    "norms.py": {"equinox"},
    "nnx.py": {"flax"},
    "nnx_model.py": {"flax"},
    "nnx_build.py": {"flax"},
    "nnx_constructors.py": {"flax"},
    "haiku.py": {"haiku"},
    "keras.py": {"keras"},
    "linen.py": {"flax"},
    "rules.py": {"flax"},
    "weight_norm.py": {"flax"},
    "linen_trace.py": {"flax"},
    "linen_model.py": {"flax"},
    "checkpoint.py": {"safetensors", "torch"},
    "draws.py": {"torch"},
    "torch_calls.py": {"torch"},
    "recorder.py": {"torch"},
    "values.py": {"torch"},
    "run.py": {"torch"},
    "table.py": {"rich"},
}
NOT_NEEDED = [
    "equinox",
    "flax",
    "haiku",
    "keras",
    "torch",
    "scipy",
    "jaxinit_conformance",
    "click",
    "matplotlib",
    "jinja2",
    "rich",
    "chex",
    "optax",
    "tests",
]


def imported_after(program: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", f"{program}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"],
        capture_output=True,
        check=True,
        text=True,
    )
    return set(result.stdout.split())


def roots_of(path: pathlib.Path) -> set[str]:
    """The packages that a file imports, anywhere in it."""
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            roots.add((node.module or "").partition(".")[0])
    return roots


def test_import_loads_nothing_that_jax_does_not() -> None:
    loaded = imported_after("import jaxinit")
    # jax loads parts of scipy itself where it needs them. jaxinit must add none.
    assert loaded - imported_after("import jax.numpy, jax.export") <= {"jaxinit"}
    assert not loaded & {"flax", "torch", "click", "jaxinit_conformance", "tests"}


def test_recipes_are_imported_on_first_use() -> None:
    program = "import jaxinit, sys; assert 'jaxinit._recipes' not in sys.modules; jaxinit.Recipe, jaxinit.record"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_describing_loads_no_framework() -> None:
    loaded = imported_after("import jaxinit, numpy; print(jaxinit.describe({'a': numpy.ones(3)}))")
    assert not loaded & set(NOT_NEEDED) - imported_after("import jax.numpy, jax.export, jax.random")


def test_drawing_loads_nothing_more() -> None:
    loaded = imported_after("import jax, jaxinit; jaxinit.normal()(jax.random.key(0), (2, 3))")
    assert not loaded & set(NOT_NEEDED) - imported_after("import jax.numpy, jax.export, jax.random")


def test_the_source_imports_only_jax_and_numpy() -> None:
    roots: set[str] = set()
    for path in PACKAGE.glob("**/*.py"):
        roots |= roots_of(path) - ON_DEMAND.get(path.name, set())
    assert not roots & set(NOT_NEEDED)
    assert roots - set(sys.stdlib_module_names) == {"jax", "numpy", "jaxinit"}


def test_every_public_name_is_documented_by_example() -> None:
    for name in jaxinit.__all__:
        value = getattr(jaxinit, name)
        if callable(value):
            assert ">>> " in (inspect.getdoc(value) or ""), name


def test_every_initializer_states_its_arguments_and_errors() -> None:
    for name, factory in cases.FACTORIES.items():
        text = inspect.getdoc(factory) or ""
        for argument in inspect.signature(factory).parameters:
            assert f"\n    {argument}: " in text, (name, argument)


def test_all_is_sorted_and_complete() -> None:
    assert len(set(jaxinit.__all__)) == len(jaxinit.__all__)
    names = {name for name, value in vars(jaxinit).items() if not name.startswith("_") and not inspect.ismodule(value)}
    modules = {name for name in jaxinit.__all__ if inspect.ismodule(getattr(jaxinit, name))}
    assert names | modules | set(jaxinit._LATE) == set(jaxinit.__all__)
    assert modules == {"composed", "defaults", "scaling"}


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("kaiming_uniform_", "kaiming_uniform"),
        ("he_uniform", "kaiming_uniform"),
        ("glorot_normal", "xavier_normal"),
        ("truncated_normal", r"composed.truncated\(jaxinit.normal\(\)\)"),
        ("he_normal_", "kaiming_normal"),
        ("lecun_normal", r"composed.truncated\(jaxinit.kaiming_normal\(nonlinearity='linear'\), keep_std=True\)"),
        ("trunc_normal_tf_", r"composed.truncated\(jaxinit.normal\(\)\)"),
        ("kaming_unifrom", "kaiming_uniform"),
        ("Uniform", "uniform"),
    ],
)
def test_a_name_of_another_library_is_answered_with_ours(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; did you mean jaxinit\.{meant}\?"):
        getattr(jaxinit, name)


def test_every_answer_is_a_public_name() -> None:
    for meant in jaxinit._OTHER_NAMES.values():
        assert isinstance(operator.attrgetter(meant.partition("(")[0])(jaxinit), type)
    with pytest.raises(AttributeError, match=r"has no attribute 'transformer'$"):
        jaxinit.transformer  # noqa: B018  # an attribute is looked up


WITHOUT = """
import sys
name, needed = sys.argv[1:]
class Missing:
    def find_spec(self, module, *_):
        if module == needed:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
sys.meta_path.insert(0, Missing())
import jaxinit
print(hasattr(jaxinit, name), name in dir(jaxinit))
try:
    getattr(jaxinit, name)(lambda: None)
except (AttributeError, ImportError) as error:
    print(error)
"""


@pytest.mark.parametrize("name", jaxinit._ON_DEMAND)
def test_without_their_packages_modules_are_listed_and_say_what_they_need(name: str) -> None:
    needed = jaxinit._ON_DEMAND[name]
    done = subprocess.run([sys.executable, "-c", WITHOUT, name, needed], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "False True",
        f"jaxinit.{name} needs {needed}; install it with: pip install 'jaxinit[{needed}]'",
    ]


def test_equinox_needs_no_flax() -> None:
    loaded = imported_after("import sys; sys.modules['flax'] = None; import jaxinit; jaxinit.equinox")
    assert "equinox" in loaded


def test_only_the_parts_of_a_framework_import_it() -> None:
    for framework in ("flax", "equinox"):
        users = {path.relative_to(PACKAGE) for path in PACKAGE.glob("**/*.py") if framework in roots_of(path)}
        public = {"flax": {"nnx.py", "linen.py"}, "equinox": {"equinox.py"}}[framework]
        folder = pathlib.Path("_models", framework)
        assert not {path for path in users if str(path) not in public and path.parent != folder}


def test_without_torch_a_recording_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "record", "torch"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "`record` needs torch. Install it with: pip install 'jaxinit[torch]'"
