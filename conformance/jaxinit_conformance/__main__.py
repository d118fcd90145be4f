"""The command `jaxinit`, also `python -m jaxinit_conformance`: its subcommands and their options.

Only click is imported here, so that `--help` needs no extra. Each command imports what it runs.
"""

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .console import CannotRun

EXTRA = "pip install 'jaxinit[conformance]'"
SEED = click.IntRange(0, 2**31 - 1)
COUNT = click.IntRange(min=1)
FILE = click.Path(path_type=Path)


class Commands(click.Group):
    """Run subcommands that return their exit status, and that name a package they miss."""

    def invoke(self, ctx: click.Context) -> None:
        try:
            ctx.exit(super().invoke(ctx))
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            needed = f"`jaxinit {ctx.invoked_subcommand}` needs the package {package}, which is not installed"
            raise CannotRun(f"{needed}. Install it with: {EXTRA}" if package else error) from None
        except (click.exceptions.Exit, click.ClickException, click.Abort, OSError):
            raise
        except Exception:  # of a user's function: Python would exit with 1, which says that something differs
            traceback.print_exc()
            ctx.exit(2)


def _expression(_: click.Context, __: click.Parameter, text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise click.BadParameter(f"{text!r} is not a regular expression: {error}.") from None
    return text


def _folder(files: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return the option that says where a command writes its report."""
    text = f"Write {files} to this folder."
    return click.option("--out", type=FILE, default="report", show_default=True, metavar="DIR", help=text)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Check JAX initializers against torch.nn.init, and look at the weights of models.

    Each command has its own help: `jaxinit report --help`.
    """


@main.command(
    short_help="Check initializers against the installed torch.",
    epilog="Exit status: 0 if the target conforms, 1 if it deviates, 2 if the suite could not run. The last covers a "
    "bad argument, a target that cannot be imported and a missing package.",
)
@click.option(
    "--target",
    default="jaxinit",
    show_default=True,
    metavar="NAMESPACE",
    help="Check this namespace. Any module that has torch's names as factories can be imported. Adapters exist for "
    "torch, jax.nn.initializers, flax, keras.initializers and haiku.",
)
@_folder("report.html, report.md, report.json and junit.xml")
@click.option(
    "--select",
    default="",
    callback=_expression,
    metavar="REGEX",
    help="Run only checks whose id matches. Each is judged as in a run of all checks.",
)
@click.option(
    "--seed", type=SEED, metavar="N", help="Start all random numbers from this seed. By default it is new, and printed."
)
@click.option("--quick", is_flag=True, help="Run fewer cases, at the same error rates.")
def report(**options: Any) -> int:
    """Check a namespace of initializers against the installed torch, and write a report."""
    from .cli import report

    return report(**options)


@main.command(
    short_help="Check a model of Flax or Equinox against the torch model that it was ported from.",
    epilog="Exit status: 0 if nothing differs, 1 if something does, 2 if a model cannot be built.",
)
@click.argument("torch_build", metavar="TORCH_BUILD")
@click.argument("flax_build", metavar="FLAX_BUILD")
@click.option(
    "--inputs",
    metavar="NAME",
    help="Call both models with this: an array, a tuple of arguments, a dict of them, or a function that returns one. "
    "A dict with torch and flax gives each model its own. Without it, no outputs are compared.",
)
@click.option(
    "--rename",
    type=FILE,
    metavar="FILE",
    help="Read a JSON object from this file, from torch's names to the port's. Or a list of pairs of a regular "
    "expression and its replacement.",
)
@click.option(
    "--transposed",
    multiple=True,
    metavar="PATTERN",
    help="Transpose the matrices whose names, after --rename, match this shell pattern. May be given more than once.",
)
@click.option("--seed", type=SEED, metavar="N", help="Ask that the port replays torch's numbers from this seed.")
@_folder("port.html, port.md and port.json")
def port(**options: Any) -> int:
    """Compare a model of Flax or Equinox with the torch model that it was ported from.

    TORCH_BUILD and FLAX_BUILD name functions, as in my_package.models:build. The first returns a torch module. The
    second takes nnx.Rngs for an NNX model, an argument called key for an Equinox model, or nothing for a Linen module.
    """
    from .porting.commands import port

    return port(**options)


@main.command(
    short_help="Show which check catches each planted fault.",
    epilog="Exit status: 0 if every fault is caught, 1 if one is missed, 2 if a package is missing.",
)
@click.option("--seed", type=SEED, metavar="N", help="Start all random numbers from this seed. By default it is new.")
def faults(seed: int | None) -> int:
    """Plant known faults into jaxinit, one at a time, and show which check catches each."""
    from .cli import faults

    return faults(seed)


@main.command(
    short_help="Measure both error rates of the suite.",
    epilog="Exit status: 0 if no error was seen, 1 if one was, 2 if a package is missing.",
)
@click.option(
    "--runs", type=COUNT, default=10, show_default=True, metavar="N", help="Run the quick report N times on jaxinit."
)
@click.option(
    "--fault-runs", type=COUNT, default=1, show_default=True, metavar="N", help="Plant every fault with N seeds."
)
def calibrate(runs: int, fault_runs: int) -> int:
    """Measure how often the suite refuses true claims, and how often it misses planted faults."""
    from .cli import calibrate

    return calibrate(runs, fault_runs)


@main.command(
    short_help="Describe the weights in a file.",
    epilog="Exit status: 0 if the file was described, 2 if it cannot be read or a package is missing.",
)
@click.argument("file", type=FILE)
@click.option(
    "--layout",
    type=click.Choice(["flax", "torch"]),
    help="Read fans off arrays in this layout. The default is torch for .safetensors and flax for .npz.",
)
def describe(file: Path, layout: str | None) -> int:
    """Show the statistics of each array in FILE, and the initializer that may have drawn it.

    FILE is a .safetensors or .npz file. No pickle is ever loaded.
    """
    from .weights.commands import describe

    return describe(file, layout)


@main.command(
    short_help="Compare the weights in two files.",
    epilog="Exit status: 0 if no difference was seen, 1 if they differ, 2 if a file cannot be read.",
)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option(
    "--map",
    "names",
    type=FILE,
    metavar="FILE",
    help="Read a JSON object from this file. It maps names in A to names in B where they differ.",
)
def compare(a: Path, b: Path, names: Path | None) -> int:
    """Compare the distributions of the arrays in two files, A and B.

    A and B are .safetensors or .npz files. Arrays of the same name may be transposed.
    """
    from .weights.commands import compare

    return compare(a, b, names)


@main.command(
    "record",
    short_help="Record how a torch model initializes itself.",
    epilog="Exit status: 0 if the recipe was written, 2 if the model cannot be recorded or a package is missing.",
)
@click.argument("build", metavar="BUILD")
@click.option(
    "--out", type=FILE, default="recipe.json", show_default=True, metavar="FILE", help="Write the recipe to this file."
)
@click.option(
    "--constants",
    type=click.Choice(["refuse", "allow"]),
    default="refuse",
    show_default=True,
    help="Keep one run's values of parameters that a recipe cannot express, or refuse them.",
)
def record(**options: Any) -> int:
    """Record the initialization of the torch model that a function builds.

    BUILD names the function, as in my_package.models:build. It is called without arguments. No memory is needed for
    the parameters.
    """
    from .recipes.commands import record

    return record(**options)


@main.command(
    "show",
    short_help="Show a recorded initialization.",
    epilog="Exit status: 0 if the recipe was shown, 2 if it cannot be read.",
)
@click.argument("file", type=FILE)
def show(file: Path) -> int:
    """Show each parameter in a recipe FILE of `jaxinit record`, and how it is initialized."""
    from .recipes.commands import show

    return show(file)


if __name__ == "__main__":
    main(prog_name="jaxinit")
