"""Fine-tuning by somebody else: files and jobs of any OpenAI-shaped host, followed for days."""

from steelyard.hosted.client import KEY_NAME, HostedClient
from steelyard.hosted.ledger import (
    Submitted,
    find_submitted,
    save_submitted,
    submitted,
)

__all__ = [
    "KEY_NAME",
    "HostedClient",
    "Submitted",
    "find_submitted",
    "save_submitted",
    "submitted",
]
