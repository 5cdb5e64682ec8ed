"""Settings of every test."""

from hypothesis import HealthCheck, settings

# Machines are noisy: a slow example is not a wrong one.
settings.register_profile(
    "steelyard", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("steelyard")
