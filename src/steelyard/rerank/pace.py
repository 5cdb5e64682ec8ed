"""How long a run takes on this machine, as far as we have seen."""

import threading

_SHARE_OF_NEW = 0.2


class Pace:
    """A running estimate of milliseconds a token, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms_per_token: float | None = None

    @property
    def ms_per_token(self) -> float:
        """Return the estimate; 0 before the first run."""
        return self._ms_per_token or 0.0

    def saw(self, num_tokens: int, duration_s: float) -> None:
        """Take a run into account, exponentially weighted."""
        found = duration_s * 1000 / max(num_tokens, 1)
        with self._lock:
            known = self._ms_per_token
            self._ms_per_token = found if known is None else known + _SHARE_OF_NEW * (found - known)

    def expected_s(self, num_tokens: int) -> float:
        """Return how long a run of so many tokens should take."""
        return self.ms_per_token * num_tokens / 1000
