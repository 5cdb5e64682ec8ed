"""The child's side of `infra.sandbox`: fence this process in, then serve tasks over pipes.

Started as `python -m steelyard.infra.sandboxed module:function LIMITS PARENT_PID`. Imports nothing
but the standard library until the fence is up. A request frame is an 8-byte length and the
payload; a reply frame is `REPLY` (status, resident bytes, length) and the payload.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable

REQUEST = struct.Struct(">Q")
REPLY = struct.Struct(">BQQ")
READY, DONE, RAISED, OUT_OF_MEMORY, BROKEN = range(5)

Target = Callable[[bytes], bytes]

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MAX_OPEN_FILES = 128
_MAX_WRITTEN_BYTES = 64 << 20


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent goes, and nothing to gain rights."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent_pid:  # it went before we asked
        os._exit(1)


def cut_network() -> bool:
    """Move into an empty network namespace; False where the kernel or a policy forbids it."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    flags = (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET)
    return any(libc.unshare(flag) == 0 for flag in flags)


def set_limits(memory_bytes: int) -> None:
    """Bound memory, files and dumps; what the platform does not know is left out."""
    for name, value in (
        ("RLIMIT_AS", memory_bytes),
        ("RLIMIT_FSIZE", _MAX_WRITTEN_BYTES),
        ("RLIMIT_NOFILE", _MAX_OPEN_FILES),
        ("RLIMIT_CORE", 0),
    ):
        with contextlib.suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, value))
    with contextlib.suppress(OSError):
        os.nice(10)


def renew_cpu_limit(cpu_s: float) -> None:
    """Allow `cpu_s` seconds more than what is used; beyond, SIGXCPU ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + cpu_s) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def resident_bytes() -> int:
    """Return this process's resident memory; its peak where /proc is missing."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def take_channels() -> tuple[int, int]:
    """Keep the pipes for frames; what others read or print on 0, 1 and 2 goes nowhere."""
    requests, replies = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
    return requests, replies


def read_exactly(fd: int, size: int) -> bytes:
    """Return `size` bytes, or fewer at the end of the stream."""
    parts = []
    while size > 0:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def reply(fd: int, status: int, payload: bytes) -> None:
    frame = memoryview(REPLY.pack(status, resident_bytes(), len(payload)) + payload)
    while frame:
        frame = frame[os.write(fd, frame) :]


def run_task(target: Target, payload: bytes) -> tuple[int, bytes]:
    """Run one task; an exception becomes a reply, so that it costs this task only."""
    try:
        return DONE, target(payload)
    except MemoryError:
        return OUT_OF_MEMORY, b""
    except RecursionError:
        return RAISED, b"nested too deeply"
    except Exception as error:
        return RAISED, f"{type(error).__name__}: {error}".encode(errors="replace")[:2000]
    except BaseException as error:  # some extensions derive their panic from it
        return RAISED, f"{type(error).__name__}".encode()


def serve(target: Target, requests: int, replies: int, cpu_s: float) -> None:
    """Answer requests until the parent closes the pipe."""
    while len(header := read_exactly(requests, REQUEST.size)) == REQUEST.size:
        (size,) = REQUEST.unpack(header)
        renew_cpu_limit(cpu_s)
        try:
            payload = read_exactly(requests, size)
        except MemoryError:
            reply(replies, OUT_OF_MEMORY, b"")
            return  # the rest of the request is still in the pipe
        if len(payload) < size:
            return
        status, answer = run_task(target, payload)
        del payload
        reply(replies, status, answer)


def main() -> None:
    name, limits, parent_pid = sys.argv[1:4]
    die_with_parent(int(parent_pid))
    requests, replies = take_channels()
    isolated = cut_network()
    bounds = json.loads(limits)
    set_limits(int(bounds["memory_bytes"]))
    module, _, function = name.partition(":")
    try:
        target = getattr(importlib.import_module(module), function)
    except Exception as error:
        reply(replies, BROKEN, f"{type(error).__name__}: {error}".encode(errors="replace"))
        return
    reply(replies, READY, json.dumps({"network_cut": isolated}).encode())
    serve(target, requests, replies, float(bounds["cpu_s"]))


if __name__ == "__main__":
    main()
