"""``python -m tests.soak``: learners talk for some minutes while processes and connections fail.

Random choices come from the seed, with a generator for each actor, so that a failed run can be
repeated. The seed does not determine the timing: the same seed gives similar, not equal, runs.
"""

import argparse
import asyncio
import random
import signal
import sys
import time

from tests.soak.journal import Violation
from tests.soak.run import Plan, Summary, soak


def main() -> None:
    plan = _plan()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is cleaned up
    print(f"seed {plan.seed}: {plan.seconds:.0f} s, {plan.learners} learners", flush=True)
    began = time.monotonic()
    try:
        summary = asyncio.run(soak(plan, lambda line: print(line, flush=True)))
    except Violation as violation:
        print(
            "\n".join((f"\nVIOLATED: {violation}", *getattr(violation, "__notes__", ()))),
            file=sys.stderr,
        )
        again = f"--seed {plan.seed} --minutes {plan.seconds / 60:g} --learners {plan.learners}"
        sys.exit(f"\nAgain: python -m tests.soak {again}")
    _show(summary)
    print(f"\nseed {plan.seed}: every invariant held ({time.monotonic() - began:.0f} s)")


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of faults (default: 5)")
    parser.add_argument("--seed", type=int, help="of the run to repeat (default: random)")
    parser.add_argument("--learners", type=int, default=12, help="with two tabs each (default: 12)")
    given = parser.parse_args()
    if not 0 < given.minutes <= 600 or not 1 <= given.learners <= 500:
        parser.error("minutes are above 0 and up to 600, learners 1 to 500")
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    return Plan(seconds=given.minutes * 60, seed=seed, learners=given.learners)


def _show(summary: Summary) -> None:
    print("\nactions:       " + _listed(summary.actions))
    for kind, answers in summary.answers.items():
        print(f"{kind + ':':15}" + _listed(answers))
    print("the model:     " + _listed(summary.moods))
    print("faults:        " + _listed(summary.faults))
    print("checked:")
    for what, number in summary.checked.items():
        print(f"{number:>10,}  {what}")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items())


if __name__ == "__main__":
    main()
