"""`python -m jaxinit_conformance`; exit status 2, with one clear line, where a package is missing."""

import sys

try:
    from .cli import main
except ModuleNotFoundError as error:
    sys.exit(
        print(f"conformance: needs {error.name}; install it with: pip install 'jaxinit[conformance]'", file=sys.stderr)
        or 2
    )

if __name__ == "__main__":
    sys.exit(main())
