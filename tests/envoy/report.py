"""What a driver of Envoys found, one JSON line for each check."""

import json
import time

SETTLE_S_MAX = 10


def settle(state, s_max=SETTLE_S_MAX):
    """Waits until the state is reached; the bound only keeps a broken run from hanging."""
    give_up = time.monotonic() + s_max
    while not (reached := state()) and time.monotonic() < give_up:
        time.sleep(0.02)
    return bool(reached)


class Report:
    def __init__(self):
        self.failed = False

    def check(self, check, expected, observed, ok):
        self.failed |= not ok
        print(
            json.dumps({"check": check, "expected": expected, "observed": observed, "ok": ok}),
            flush=True,
        )

    def exit_code(self):
        return 1 if self.failed else 0
