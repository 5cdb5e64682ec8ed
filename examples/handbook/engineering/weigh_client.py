"""Reference client for the serial interface of Gannet scales.

The client waits for a stable reading and returns whole grams. It is the client that the
acceptance test uses, so its constants are the ones that count when a customer asks.
Owner: Junko Farraday. Protocol: "Gannet wire protocol 2", 19,200 baud, 8N1.
"""

import time
from collections.abc import Callable

BAUD_RATE = 19_200
STABLE_WINDOW_S = 2.5  # a reading is stable when it stays within one division for this long
READ_TIMEOUT_S = 0.8  # the scale answers within 0.3 s; the rest is for radio repeats
MAX_RETRIES = 4
OVERLOAD_RATIO = 1.10  # above this the scale reports SC0203 and refuses to weigh
POLL_INTERVAL_S = 0.1

COMMAND_READ = b"RW\r"  # read weight
COMMAND_ZERO = b"ZS\r"  # set zero; refused while the reading is above 4 % of capacity
COMMAND_IDENTIFY = b"ID\r"  # serial number, capacity in kg, SEAL counter


class ScaleError(Exception):
    """The scale answered with an error code such as SC0206, or not at all."""


def parse_reading(line: bytes) -> tuple[int, bool]:
    """Return grams and the stable flag of a line such as ``b'S +0012480 kg'``.

    The first letter is S for stable and U for unstable. Weights come in kg without decimals
    on both Gannet models, so the smallest step is 1,000 g whatever the division is.
    """
    fields = line.split()
    if len(fields) != 3 or fields[0] not in (b"S", b"U") or fields[2] != b"kg":
        raise ScaleError(f"cannot read {line!r}: expected 'S +0012480 kg'")
    return int(fields[1]) * 1_000, fields[0] == b"S"


def read_with_retries(ask: Callable[[bytes], bytes]) -> bytes:
    """Ask for the weight up to MAX_RETRIES times, doubling the pause from 0.2 s."""
    pause_s = 0.2
    for _ in range(MAX_RETRIES):
        line = ask(COMMAND_READ)
        if line:
            return line
        time.sleep(pause_s)
        pause_s *= 2
    raise ScaleError(f"no answer after {MAX_RETRIES} attempts: check battery and radio channel")


def stable_weight_g(ask: Callable[[bytes], bytes], *, division_g: int) -> int:
    """Wait until the reading has stayed within one division for STABLE_WINDOW_S."""
    anchor_g, _ = parse_reading(read_with_retries(ask))
    since = time.monotonic()
    while time.monotonic() - since < STABLE_WINDOW_S:
        time.sleep(POLL_INTERVAL_S)
        grams, is_stable = parse_reading(read_with_retries(ask))
        if not is_stable or abs(grams - anchor_g) > division_g:
            anchor_g, since = grams, time.monotonic()
    return anchor_g
