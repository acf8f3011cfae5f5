"""``make faults``: the long form. Prints a table as it goes; exit code 1 where a check fails."""

import argparse
import dataclasses
import json
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cli.console import err
from tests.faults.changes import MUTATIONS
from tests.faults.on_postgres import stack_on_postgres
from tests.faults.run import (
    LONG,
    LONG_ON_POSTGRES,
    SHORT,
    SHORT_ON_POSTGRES,
    Row,
    leader_killed,
    measure,
    mutation,
    topic_made_anew,
)
from tests.faults.stack import stack

HEADINGS = ("faults", "orders", "lost", "doubled", "recovered", "seconds")


def main() -> int:
    """Run the scenarios that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats a run's choices; else a new one")
    parser.add_argument("--short", action="store_true", help="as in `make test-full`")
    parser.add_argument(
        "--only", action="append", help="a scenario, `leader`, `anew`, or `mutations`"
    )
    parser.add_argument("--faults", type=int, help="so many in each scenario")
    parser.add_argument("--json", action="store_true", help="one JSON object, for a script to read")
    chosen = parser.parse_args()
    seed = secrets.randbelow(2**31) if chosen.seed is None else chosen.seed
    err.print(f"seed {seed}")
    rows, mutations = [], []
    for row in _scenarios(chosen, seed):
        rows.append(row)
        _say(row)
    if not chosen.only or "mutations" in chosen.only:
        for name in MUTATIONS:
            mutations.append(mutation(name, seed))
            err.print(f"{name}: found by {', '.join(mutations[-1].wrong) or 'nothing'}")
    if chosen.json:
        found = {"scenarios": rows, "mutations": mutations}
        told = {name: [row.as_dict() for row in those] for name, those in found.items()}
        sys.stdout.write(json.dumps({"seed": seed, **told}, indent=2) + "\n")
    return 1 if any(row.wrong for row in rows) else 0


def _scenarios(chosen: argparse.Namespace, seed: int) -> Iterator[Row]:
    short, long = (SHORT, SHORT_ON_POSTGRES), (LONG, LONG_ON_POSTGRES)
    for made_on, sizes in zip(
        (stack, stack_on_postgres), short if chosen.short else long, strict=True
    ):
        names = [name for name in sizes if not chosen.only or name in chosen.only]
        if not names:
            continue
        with tempfile.TemporaryDirectory() as folder, made_on(Path(folder), seed) as made:
            for name in names:
                size = sizes[name]
                if chosen.faults:
                    size = dataclasses.replace(size, faults=chosen.faults)
                yield measure(name, made, size)
    if not chosen.only or "leader" in chosen.only:
        yield leader_killed(seed, 1, 900, 60) if chosen.short else leader_killed(seed, 6, 6000, 60)
    if not chosen.only or "anew" in chosen.only:
        yield topic_made_anew(seed, 300)


def _say(row: Row) -> None:
    figures = dataclasses.asdict(row)
    err.print(f"{row.scenario}: " + ", ".join(f"{name} {figures[name]:g}" for name in HEADINGS))
    for check, wrong in row.wrong.items():
        err.print(f"  {check}: {len(wrong)} wrong, first {wrong[0]}", style="red", markup=False)


if __name__ == "__main__":
    sys.exit(main())
