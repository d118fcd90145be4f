"""The command `jaxinit`, called in this process."""

from collections.abc import Sequence

from jaxinit_conformance.__main__ import main


def jaxinit(arguments: Sequence[str]) -> int:
    """Its exit status."""
    try:
        main(list(arguments), prog_name="jaxinit")
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("the command did not end")
