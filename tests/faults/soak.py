"""A soak: load and faults drawn from a seed, on a whole Voltpay; then it heals, drains, is checked.

    python -m tests.faults.soak --seed 7 --minutes 1

Exit code 0 when everything adds up, 1 when not. The same seed and length draw the same faults.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import typer
from tests.faults.ordeal import ordeal
from tests.faults.strikes import PER_MINUTE, Hand, drawn
from tests.stack import Stack

from voltpay.foundation.runtime.failpoints import VARIABLE

DONE_PER_MINUTE_MIN = 20


def soak(folder, seed, minutes, say=typer.echo):
    """Run one in a folder; raises AssertionError where something does not add up."""
    points = folder / "points"
    points.mkdir()
    strikes = drawn(seed, minutes)
    say(f"seed {seed}: {len(strikes)} faults in {minutes:g} min")
    with Stack(folder / "data", settings={VARIABLE: str(points)}) as stack:
        hand = Hand(stack, points)
        with ordeal(stack, seed) as under_way:
            _play(hand, strikes, minutes, say)
            unmet = hand.heal()
        load = under_way.load
    fired = len(list(points.glob("*.fired")))
    done = hand.done - len(unmet)
    say(f"{load.sent:,} sent, {load.accepted:,} accepted, answers {dict(load.statuses)}")
    say(f"{done} faults met somebody, {fired} failpoints among them: it adds up")
    assert done >= DONE_PER_MINUTE_MIN * minutes, f"only {done} faults happened"


def _play(hand, strikes, minutes, say):
    began = time.monotonic()
    for strike in strikes:
        time.sleep(max(0.0, began + strike.at_s - time.monotonic()))
        say(f"{strike}  {hand.strike(strike)}")
    time.sleep(max(0.0, began + 60 * minutes - time.monotonic()))


def main():
    """The command."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--seed", type=int, default=1, help="draws payments and faults")
    asked.add_argument(
        "--minutes", type=float, default=1, help=f"{PER_MINUTE} faults are drawn for each"
    )
    given = asked.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="voltpay-soak-"))
    try:
        soak(folder, given.seed, given.minutes)
    except AssertionError as error:
        typer.echo(f"it does NOT hold: {error}", err=True)
        raise SystemExit(1) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
