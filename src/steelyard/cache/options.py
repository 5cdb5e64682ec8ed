"""The options of this room."""

from dataclasses import dataclass

MODES = ("on", "exact", "off")


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Which finished answers are kept and served again.

    `mode`: `on` serves equal questions and questions that mean the same, `exact` only equal
    ones, `off` none. `threshold` is the least cosine of two questions that may mean the same
    (docs/why/cache.md); `steelyard cache tune` sets it by measured wrong hits. `url` names a
    Redis or Valkey that replicas share (extra `redis`).
    """

    mode: str = "on"
    threshold: float = 0.8
    max_entries: int = 10_000
    max_mb: int = 256
    ttl_s: float = 3600.0
    url: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r} is none of {', '.join(MODES)}")
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"threshold {self.threshold} is no cosine from 0 to 1")
        if self.max_entries < 1:
            raise ValueError(f"max_entries {self.max_entries} is too few; set 1 or more")
        if self.max_mb < 1:
            raise ValueError(f"max_mb {self.max_mb} is too little; set 1 or more")
        if not self.ttl_s > 0:
            raise ValueError(f"ttl_s {self.ttl_s} is too short; set more than 0 seconds")
        if self.url is not None and not self.url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("the address must begin with redis://, rediss:// or unix://")
