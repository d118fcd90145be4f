"""Writing the files of a comparison: port.html, port.md and port.json."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..report.pictures import COLOURS, as_svg
from ..report.write import TEMPLATES, plain
from ..statistics.tests import RATES
from .finding import PortReport, Signal
from .signals import SEEDS


def write(report: PortReport, folder: Path) -> None:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    content = plain(report.as_json())
    (folder / "port.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    context = {
        "report": report,
        "method": _method(report),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "false_alarm": RATES.false_alarm,
        "picture": _picture(report.signals) if report.signals else "",
        "seeds": SEEDS,
    }
    for name in ("port.html", "port.md"):
        (folder / name).write_text(TEMPLATES.get_template(f"{name}.j2").render(context), encoding="utf-8")


def _method(report: PortReport) -> str:
    """Return one sentence that says what was compared, and how."""
    drawn = f"Each of {len(report.drawn)} parameters was drawn from new keys and tested against torch's distribution"
    if not report.outputs:
        return f"{drawn}. No inputs were given, so no outputs were compared."
    return f"{drawn}, and {report.compared} outputs were compared after loading torch's weights."


def _picture(signals: Sequence[Signal]) -> str:
    """Draw the signals by depth, as SVG."""
    quantities = [name for name in ("activations", "gradients") if any(each.quantity == name for each in signals)]
    height = 1.8 + 0.045 * max(len(each.path) for each in signals)  # the paths stand below, at an angle
    figure = Figure(figsize=(6.4, height * len(quantities)), layout="constrained")
    for axes, name in zip(figure.subplots(len(quantities), squeeze=False).flat, quantities, strict=True):
        _lines(axes, name, [each for each in signals if each.quantity == name])
    return as_svg(figure, "port")


def _lines(axes: Axes, name: str, signals: Sequence[Signal]) -> None:
    places = np.arange(len(signals))
    axes.plot(places, [each.torch for each in signals], "o-", color=COLOURS["torch"], markersize=4, label="torch")
    axes.plot(places, [each.port for each in signals], "x--", color=COLOURS["target"], markersize=4, label="port")
    axes.set_yscale("log")
    axes.set_ylabel(f"std of {name}", fontsize=7)
    named = slice(None, None, -(-len(signals) // 40))  # more names than this would overlap
    axes.set_xticks(places[named], [each.path for each in signals[named]], rotation=60, ha="right", fontsize=6)
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7)
