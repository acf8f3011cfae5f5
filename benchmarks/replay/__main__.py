"""Events per second of proof and rebuild against a raw scan: ``python -m benchmarks.replay``.

For each size a log is made; then the contenders read it in turn, round by round, each in a process
of its own, so that a drift of the machine's speed meets them all. A ratio is of one round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.replay.contender import KINDS
from benchmarks.replay.painting import paint
from benchmarks.replay.synthetic import make_log
from cli.console import err

SIZES = (300_000, 3_000_000)


@dataclass
class Run:
    """One reading by one contender.

    `processor` is seconds of processor time, `peak_mb` the memory of its largest process.
    """

    events: int
    seconds: float
    processor: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


def run(kind: str, log: Path) -> Run:
    """Let one contender read the log, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.replay.contender", kind, str(log)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Run(**json.loads(done.stdout))


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    kinds = list(dict.fromkeys(["raw", *chosen.kinds]))
    found: dict[int, dict[str, list[Run]]] = {}
    painted: dict[int, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        for events in chosen.events:
            log = Path(name) / f"{events}.sqlite"
            err.print(f"making a log of {events:,} events")
            make_log(log, events)
            # Once for nothing, so that nobody reads from a cold disk.
            run("raw", log)
            found[events] = {kind: [] for kind in kinds}
            for number in range(chosen.rounds):
                for kind, runs in found[events].items():
                    runs.append(run(kind, log))
                    err.print(f"round {number + 1} {kind}: {runs[-1].rate:,.0f} events/s")
            err.print("opening the dashboard's pages")
            painted[events] = paint(log, chosen.rounds)
            log.unlink()
    if chosen.json:
        sizes = {
            size: {kind: [vars(each) for each in runs] for kind, runs in kinds.items()}
            for size, kinds in found.items()
        }
        print(json.dumps({"runs": sizes, "painted": painted}))
    else:
        for events, runs_of in found.items():
            _print(events, runs_of)
            _print_painted(painted[events])


def _print(events: int, kinds: dict[str, list[Run]]) -> None:
    print(f"\n{events:,} events")
    print(
        f"{'':10}{'events/s: median':>18}{'min':>10}{'max':>10}"
        f"{'of raw: median':>16}{'min':>6}{'max':>6}{'processor µs':>14}{'peak MB':>9}"
    )
    for kind, runs in kinds.items():
        rates = [each.rate for each in runs]
        ratios = [each.rate / raw.rate for each, raw in zip(runs, kinds["raw"], strict=True)]
        print(
            f"{kind:10}{statistics.median(rates):>18,.0f}{min(rates):>10,.0f}{max(rates):>10,.0f}"
            f"{statistics.median(ratios):>16.2f}{min(ratios):>6.2f}{max(ratios):>6.2f}"
            f"{statistics.median(each.processor / each.events for each in runs) * 1e6:>14.2f}"
            f"{max(each.peak_mb for each in runs):>9.0f}"
        )


def _print_painted(pages: dict[str, list[float]]) -> None:
    for title, seconds in pages.items():
        median, least, most = statistics.median(seconds), min(seconds), max(seconds)
        print(f"page {title:16} seconds until all is there: {median:.2f} ({least:.2f}-{most:.2f})")


if __name__ == "__main__":
    main()
