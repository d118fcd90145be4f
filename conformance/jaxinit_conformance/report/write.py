"""Writing the files of one run: report.json, report.html, report.md and junit.xml."""

import datetime
import errno
import json
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import markupsafe

from ..axes import torch_shape
from ..checks.cases import FAN_SCHEMES
from ..checks.check import Sample
from ..console import printable
from ..faults.catch import Catch
from ..modules import coverage
from ..reference import torch_init
from ..suite import Report
from . import pictures, topics

_MARKDOWN = {ord(letter): f"&#{ord(letter)};" for letter in r"&<>@|\`*!"}
"""Characters that Markdown interprets, as entities."""


def _with_code(text: str) -> markupsafe.Markup:
    return markupsafe.Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(markupsafe.escape(text))))


TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("jaxinit_conformance.report"),
    autoescape=jinja2.select_autoescape(["html.j2"]),
    finalize=lambda value: "" if value is None else value,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["short"] = lambda value: f"{value:.3g}" if isinstance(value, float) else value
TEMPLATES.filters["cell"] = lambda text: str(text).translate(_MARKDOWN)
TEMPLATES.filters["code"] = _with_code
TEMPLATES.filters["path"] = lambda path: markupsafe.escape(path).replace(".", markupsafe.Markup(".<wbr>"))
TEMPLATES.filters["shell"] = lambda check_id: shlex.quote(f"^{re.escape(check_id)}$")

FILES = ("report.json", "junit.xml", "report.html", "report.md")


def check_folder(out: Path) -> None:
    """Check before a run that the report can be written to `out`. Nothing is created.

    Raises:
        OSError: `out` is not a folder and cannot become one, or one of the files is a folder.
    """
    place = next(path for path in (out, *out.parents) if os.path.lexists(path))
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
    if taken := [path for path in (out / name for name in FILES) if path.is_dir()]:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(taken[0]))


def write_report(report: Report, caught: Sequence[Catch], out: Path) -> None:
    """Write the four files of a run into `out`, with the planted faults and what caught them.

    Raises:
        OSError: `out` cannot be created, or a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    content, verdict = plain(report.as_json()), printable(report.verdict)
    (out / "report.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / "junit.xml").write_bytes(_junit(content, verdict))
    context = {
        "report": content,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "conforms": report.conforms,
        "verdict": verdict,
        "initializers": list(dict.fromkeys(check["initializer"] for check in content["checks"])),
        "method": _method(content),
        "tables": _tables(content["checks"]),
        "failures": topics.failures(content["checks"]),
        "left_out": coverage.left_out({check["initializer"] for check in content["checks"]}),
        "pictures": pictures.of_samples(report.samples),
        "fans": _fans(report.samples),
        "command": _command(report),
        "statistics": {check.id: check.statistic for check, _ in report.results},
        "missed": sum(catch.check is None for catch in caught),
        "faults": [fault_row(catch) for catch in caught],
    }
    for name in ("report.html", "report.md"):
        (out / name).write_text(TEMPLATES.get_template(f"{name}.j2").render(context), encoding="utf-8")


def _tables(checks: Sequence[dict[str, Any]]) -> list[tuple[str, list[topics.Topic], list[tuple[str, list[str]]]]]:
    """Return the name, the topics and the rows of each table: initializers, modules, whole models, generator."""
    names: dict[str, dict[str, None]] = {}
    for check in checks:
        names.setdefault(_kind(check["initializer"]), {})[check["initializer"]] = None
    found = []
    for kind, own in names.items():
        columns, cells = topics.counts(checks, list(own))
        found.append((kind, columns, list(zip(own, cells, strict=True))))
    return found


def _method(content: Mapping[str, Any]) -> str:
    """Return one sentence that says what was checked, and how."""
    count = len({check["initializer"] for check in content["checks"]})
    return (
        f"{count} initializers, modules and models of {content['target']} were compared with torch "
        f"{content['versions']['torch']}: exactly where their numbers or distributions can be read off, and otherwise "
        "by statistical tests of fresh draws."
    )


def _kind(name: str) -> str:
    if name in (*torch_init.initializers(), "calculate_gain", "calculate_fan_in_and_fan_out"):
        return "Initializers"
    if name in ("TorchGenerator", "randperm"):
        return "Generator"
    return "Modules" if name.startswith("nn.") else "Whole models"


def _fans(samples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """Return the axes, the shape, the shape in torch, fan_in and fan_out of each array that has fans."""
    arrays = dict.fromkeys((s.case.axes, s.case.shape) for s in samples if s.case.initializer in FAN_SCHEMES)
    rows = [(axes, shape, torch_shape(shape, axes)) for axes, shape in arrays]
    return [(axes, str(shape), str(in_torch), *map(str, torch_init.fans(in_torch))) for axes, shape, in_torch in rows]


def _command(report: Report) -> str:
    """Return the command that runs the report again. With `--select` it runs one check, judged as here."""
    return f"jaxinit report --target {printable(report.target)} --seed {report.seed}{' --quick' * report.quick}"


def fault_row(catch: Catch) -> tuple[str, ...]:
    """Return the cells of a planted fault: name, initializer, claim that caught it, got, expected and samples."""
    name, seen = (catch.fault.name, catch.fault.initializer), catch.result
    if catch.check is None or seen is None:
        return *name, "MISSED", "", "", ""
    observed = f"{seen.observed:.3g}" if isinstance(seen.observed, float) else str(seen.observed)
    return *name, catch.check.claim, observed, str(seen.expected), str(seen.samples or "")


def plain(value: Any) -> Any:
    """Return `value` with printable text, and with NaN and infinities, which JSON lacks, as text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return printable(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _junit(content: dict[str, Any], verdict: str) -> bytes:
    counts = {"tests": len(content["checks"]), "failures": content["summary"]["failed"]}
    counts["time"] = content["summary"]["seconds"]
    suite = ElementTree.Element("testsuite", name=verdict)
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    for check in content["checks"]:
        name = f"{check['claim']} [{check['case']}]"
        case = ElementTree.SubElement(suite, "testcase", classname=check["initializer"], name=name)
        if not check["passed"]:
            message = f"got {check['observed']}, expected {check['expected']}"
            ElementTree.SubElement(case, "failure", message=message)
    page: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return page
