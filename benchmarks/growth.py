"""How does the time to initialize a model grow with its number of layers?

Each round starts a new process for each depth in turn. A transformer's blocks are alike: ten
times as many should not compile ten times as long.

Run: python benchmarks/growth.py [--quick] [--out DIR]
"""

import cold_start
import turns

DEPTHS = (4, 40)
WAYS = ("NNX eager", "NNX jit", "NNX init", "Linen init")


def main() -> None:
    is_quick = turns.arguments().quick
    depths, rounds = ((1, 2), 1) if is_quick else (DEPTHS, cold_start.ROUNDS)
    rows, figures = [], {}
    for way in WAYS:
        children = [{"model": "transformer", "way": way, "library": "jaxinit", "depth": depth} for depth in depths]
        measured = cold_start.rounds_of(children, rounds)
        seconds = [[figure["seconds"] for figure in turned] for turned in measured]
        compiled = [[figure["compile"] for figure in turned] for turned in measured]
        ratio = turns.spread([most / max(least, 1e-9) for least, most in zip(compiled[0], compiled[-1], strict=True)])
        rows.append((way, *map(turns.spread, seconds), ratio))
        figures[way] = dict(zip(map(str, depths), measured, strict=True))
    columns = (
        "transformer",
        *(f"{depth} blocks, s" for depth in depths),
        f"compilation, {depths[-1]} over {depths[0]}",
    )
    turns.publish("growth", columns, rows, figures)


if __name__ == "__main__":
    main()
