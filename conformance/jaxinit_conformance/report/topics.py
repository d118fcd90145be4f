"""The topics of a report: which claims belong together, and what it means if one of them fails."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Topic:
    """Represent a column of the report: a name, what a failure means, and the first words of the claims that belong
    to it.
    """

    name: str
    failure: str
    claims: tuple[str, ...]


TOPICS = (
    Topic("name", "The target has no function of this name.", ("present",)),
    Topic("arguments", "The order, the names or the defaults of the arguments are not torch's.", ("signature",)),
    Topic(
        "errors",
        "torch raises or warns where the target does not, or the target raises another exception.",
        ("refusal", "warning", "callable"),
    ),
    Topic("values", "Arrays that are not random differ from torch's.", ("equal to torch", "constants", "gain", "fans")),
    Topic(
        "distribution",
        "Entries are not drawn from torch's distribution. The claim says if the mean, scale, bounds or shape is off.",
        ("distribution", "mean", "scale", "bounds", "support", "shape", "moment", "tails"),
    ),
    Topic(
        "precision",
        "Too few different values occur for the dtype: the numbers are drawn too coarsely, or narrower than asked.",
        ("distinct values",),
    ),
    Topic(
        "independence",
        "Numbers that should be independent are not, or equal keys give different arrays.",
        ("neighbours", "halves", "leaves of a model", "keys", "same key", "stacked arrays"),
    ),
    Topic(
        "orthogonality",
        "Matrices are not orthogonal, or not uniformly distributed among the orthogonal ones.",
        ("orthonormal", "Haar marginal", "determinant sign"),
    ),
    Topic("zeros", "The zeros of a sparse matrix are not as many, or not where torch puts them.", ("zeros",)),
    Topic("outputs", "After loading torch's weights, the model does not compute what torch's does.", ("forward",)),
    Topic(
        "signals",
        "Activations or gradients of a new model have another size than in torch.",
        ("activations", "gradients"),
    ),
    Topic("torch's seed", "From a seed of torch, the numbers are not torch's.", ("replay",)),
)


def topic_of(claim: str) -> Topic:
    """Return the topic of a claim.

    Raises:
        LookupError: no topic has it.
    """
    for topic in TOPICS:
        if any(claim == own or claim.startswith(f"{own} ") for own in topic.claims):
            return topic
    raise LookupError(f"no topic has the claim {claim!r}")


def failures(checks: Iterable[Mapping[str, Any]]) -> dict[Topic, list[Mapping[str, Any]]]:
    """Return the failed checks by topic, in the order of the topics."""
    failed = [check for check in checks if not check["passed"]]
    found = {topic: [check for check in failed if topic_of(check["claim"]) is topic] for topic in TOPICS}
    return {topic: own for topic, own in found.items() if own}


def counts(checks: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[list[Topic], list[list[str]]]:
    """Return the topics that these names have checks of, and for each name how many of its checks passed."""
    own = [(check["initializer"], topic_of(check["claim"]), check["passed"]) for check in checks]
    topics = [topic for topic in TOPICS if any(topic is other and name in names for name, other, _ in own)]
    cells = [
        [_share([passed for other, its, passed in own if (other, its) == (name, topic)]) for topic in topics]
        for name in names
    ]
    return topics, cells


def _share(passed: Sequence[bool]) -> str:
    return f"{sum(passed)}/{len(passed)}" if passed else ""
