"""What changed between two reports."""

import dataclasses
import json
from pathlib import Path
from typing import Any


class ReportError(Exception):
    """The file is no report of this suite."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A check whose verdict differs; None where a report lacks it."""

    id: str
    before: bool | None
    after: bool | None


def read(path: Path) -> dict[str, Any]:
    """The content of a report.json.

    Raises:
        ReportError: it cannot be read, is not JSON, or not a report.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        content = None
    if not _is_report(content):
        raise ReportError(f"{path} is not a report.json of this suite")
    found: dict[str, Any] = content
    return found


def _is_report(content: Any) -> bool:
    """Whether it has checks, each with an id and a verdict."""
    checks = content.get("checks") if isinstance(content, dict) else None
    return isinstance(checks, list) and all(
        isinstance(check, dict) and isinstance(check.get("id"), str) and isinstance(check.get("passed"), bool)
        for check in checks
    )


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """The checks that pass in one report and not in the other, in the order of the later report."""
    old, new = ({check["id"]: check["passed"] for check in report["checks"]} for report in (before, after))
    return [
        Change(name, old.get(name), new.get(name))
        for name in dict.fromkeys([*new, *old])
        if old.get(name) != new.get(name)
    ]
