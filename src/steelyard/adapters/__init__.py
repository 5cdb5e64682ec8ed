"""Hands a tuned language model's adapter to the server that runs it, and proves that it acts."""

from steelyard.adapters.adapter import AdapterFacts, deployed_name, read_adapter
from steelyard.adapters.limits import DEFAULT_MAX_RANK, Limits, static_faults
from steelyard.adapters.probes import Probe, compare, read_probes, write_probes
from steelyard.adapters.servers import SERVERS, AdapterServer, open_server

__all__ = [
    "DEFAULT_MAX_RANK",
    "SERVERS",
    "AdapterFacts",
    "AdapterServer",
    "Limits",
    "Probe",
    "compare",
    "deployed_name",
    "open_server",
    "read_adapter",
    "read_probes",
    "static_faults",
    "write_probes",
]
