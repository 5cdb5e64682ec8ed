"""Each task does something bad to its worker; it must cost that task only."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.core.errors import SetupError
from steelyard.infra.sandbox import Limits, Reason, SandboxFailure, SandboxPool, Upkeep

LIMITS = Limits(memory_bytes=512 << 20, cpu_s=1.0, wall_s=8.0, max_output_bytes=1 << 20)

TASKS = """
import os, resource, signal, socket, sys, time


def act(payload: bytes) -> bytes:
    word, _, rest = payload.partition(b" ")
    return globals()["do_" + word.decode()](rest)


def do_echo(rest): return rest
def do_pid(rest): return str(os.getpid()).encode()
def do_hog(rest): return bytes(len(bytearray(4 << 30)))
def do_die(rest): os.kill(os.getpid(), int(rest))
def do_leave(rest): os._exit(3)
def do_huge(rest): return b"x" * (4 << 20)
def do_raise(rest): raise ValueError("a wrong value")
def do_recurse(rest): return do_recurse(rest)
def do_grow(rest): globals()["kept"] = bytearray(int(rest)); return b"grown"
def do_environment(rest): return "\\n".join(sorted(os.environ)).encode()
def do_home(rest): return f"{os.getcwd()} {os.environ['HOME']} {os.listdir('.')}".encode()
def do_nice(rest): return str(os.nice(0)).encode()
def do_core(rest): return str(resource.getrlimit(resource.RLIMIT_CORE)).encode()
def do_stdin(rest): return sys.stdin.read().encode()


def do_spin(rest):
    while True:
        pass


def do_burn(rest):
    end = time.process_time() + float(rest)
    while time.process_time() < end:
        pass
    return do_pid(rest)


def do_sleep(rest):
    time.sleep(float(rest))
    return b"slept"


def do_noise(rest):
    print("noise on stdout", flush=True)
    os.write(1, b"noise on fd 1")
    os.write(2, b"noise on fd 2")
    return b"quiet"


def do_write(rest):
    with open("large", "wb") as file:
        while True:
            file.write(bytes(1 << 20))


def do_connect(rest):
    with socket.create_connection(("127.0.0.1", int(rest)), timeout=2):
        return b"connected"
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "sandbox_test_tasks.py").write_text(TASKS)
    sys.path.append(str(folder))  # a worker searches where its parent does
    yield "sandbox_test_tasks:act"
    sys.path.remove(str(folder))


@pytest.fixture
def start(tasks: str) -> Iterator[Callable[..., SandboxPool]]:
    pools: list[SandboxPool] = []

    def start_pool(**options: object) -> SandboxPool:
        pools.append(SandboxPool(tasks, **{"limits": LIMITS, **options}))  # type: ignore[arg-type]
        return pools[-1]

    yield start_pool
    for pool in pools:
        pool.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def until(condition: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_worker_is_reused(start: Callable[..., SandboxPool]) -> None:
    pool = start()
    assert {pool.run(b"pid") for _ in range(5)} == {str(pool.pids[0]).encode()}


def test_nothing_is_started_before_the_first_task(start: Callable[..., SandboxPool]) -> None:
    assert start().pids == []


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (b"hog", Reason.MEMORY),
        (b"spin", Reason.TIMEOUT),
        (b"die %d" % signal.SIGSEGV, Reason.CRASHED),
        (b"die %d" % signal.SIGKILL, Reason.CRASHED),
        (b"die %d" % signal.SIGABRT, Reason.CRASHED),
        (b"leave", Reason.CRASHED),
        (b"huge", Reason.OUTPUT),
        (b"raise", Reason.RAISED),
        (b"recurse", Reason.RAISED),
        (b"write", Reason.RAISED),
    ],
)
def test_a_bad_task_costs_itself_only(
    start: Callable[..., SandboxPool], task: bytes, reason: Reason
) -> None:
    pool = start()
    assert pool.run(b"echo before") == b"before"
    with pytest.raises(SandboxFailure) as failure:
        pool.run(task)
    assert failure.value.reason is reason
    assert pool.run(b"echo after") == b"after"
    assert len(pool.pids) == 1


def test_a_sleeper_is_killed_at_the_wall_limit(start: Callable[..., SandboxPool]) -> None:
    pool = start()
    pid = int(pool.run(b"pid"))
    with pytest.raises(SandboxFailure) as failure:
        pool.run(b"sleep 60", wall_s=0.3)
    assert failure.value.reason is Reason.TIMEOUT
    assert not is_alive(pid)
    assert pool.run(b"echo on") == b"on"


def test_the_cpu_limit_is_renewed_for_each_task(start: Callable[..., SandboxPool]) -> None:
    pool = start(limits=Limits(memory_bytes=512 << 20, cpu_s=0.5, wall_s=30))
    pids = {pool.run(b"burn 0.6") for _ in range(3)}  # together more than one task may use
    assert pids == {str(pool.pids[0]).encode()}


def test_noise_on_the_standard_streams_does_not_reach_the_frames(
    start: Callable[..., SandboxPool],
) -> None:
    pool = start()
    assert pool.run(b"noise") == b"quiet"
    assert pool.run(b"stdin") == b""
    assert pool.run(b"echo still in step") == b"still in step"


def test_large_payloads_pass_both_ways(start: Callable[..., SandboxPool]) -> None:
    pool = start(limits=Limits(memory_bytes=1 << 30, max_output_bytes=64 << 20))
    payload = os.urandom(8 << 20)
    assert pool.run(b"echo " + payload) == payload


def test_a_worker_sees_no_secrets_and_works_in_an_empty_home(
    start: Callable[..., SandboxPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    pool = start()
    names = pool.run(b"environment").decode().split()
    assert not {"OPENAI_API_KEY", "HTTPS_PROXY", "HF_TOKEN"} & set(names)
    folder, home, entries = pool.run(b"home").decode().split(" ")
    assert folder == home
    assert entries == "[]"
    pool.close()
    assert not Path(home).exists()


def test_a_worker_is_polite_and_leaves_no_core(start: Callable[..., SandboxPool]) -> None:
    pool = start()
    assert int(pool.run(b"nice")) >= 10
    assert pool.run(b"core") == b"(0, 0)"


def test_a_worker_has_no_network(start: Callable[..., SandboxPool]) -> None:
    pool = start()
    pool.run(b"echo")
    if not pool.network_cut:
        pytest.skip("this kernel or its policy forbids network namespaces")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SandboxFailure) as failure:
            pool.run(b"connect %d" % port)
    assert failure.value.reason is Reason.RAISED


def test_a_worker_is_replaced_after_its_share_of_tasks(start: Callable[..., SandboxPool]) -> None:
    pool = start(upkeep=Upkeep(max_tasks=3))
    pids = [pool.run(b"pid") for _ in range(6)]
    assert len(set(pids)) == 2
    assert pids[0] == pids[2] != pids[3]


def test_a_worker_that_has_grown_is_replaced(start: Callable[..., SandboxPool]) -> None:
    pool = start(upkeep=Upkeep(max_resident_bytes=64 << 20))
    before = pool.run(b"pid")
    assert pool.run(b"grow %d" % (128 << 20)) == b"grown"
    assert pool.run(b"pid") != before


def test_an_idle_worker_is_stopped(start: Callable[..., SandboxPool]) -> None:
    pool = start(upkeep=Upkeep(idle_s=0.2))
    pid = int(pool.run(b"pid"))
    assert until(lambda: pool.pids == [])
    assert not is_alive(pid)
    assert pool.run(b"echo again") == b"again"


def test_many_threads_share_few_workers(start: Callable[..., SandboxPool]) -> None:
    pool = start(num_workers=2)
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(pool.run(b"echo %d" % n)))
        for n in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, answers)) == list(range(40))
    assert len(pool.pids) <= 2


def test_a_worker_outlives_the_thread_that_asked_for_it(start: Callable[..., SandboxPool]) -> None:
    pool = start()
    thread = threading.Thread(target=pool.run, args=(b"echo",))
    thread.start()
    thread.join()
    (pid,) = pool.pids
    assert int(pool.run(b"pid")) == pid


def test_closing_interrupts_a_running_task(start: Callable[..., SandboxPool]) -> None:
    pool = start()
    pid = int(pool.run(b"pid"))
    reasons: list[Reason] = []

    def sleep() -> None:
        try:
            pool.run(b"sleep 60")
        except SandboxFailure as failure:
            reasons.append(failure.reason)

    thread = threading.Thread(target=sleep)
    thread.start()
    time.sleep(0.1)
    pool.close()
    thread.join(timeout=10)
    assert reasons == [Reason.CLOSED]
    assert not is_alive(pid)
    assert pool.pids == []
    with pytest.raises(SandboxFailure):
        pool.run(b"echo")


def test_a_missing_target_is_the_operators_to_repair() -> None:
    pool = SandboxPool("steelyard.no_such_module:run")
    with pytest.raises(SetupError, match="no_such_module"):
        pool.run(b"")
    assert pool.pids == []
    pool.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel")
def test_a_worker_dies_with_its_parent(tasks: str, tmp_path: Path) -> None:
    script = (
        "import os, sys, signal\n"
        "from steelyard.infra.sandbox import SandboxPool\n"
        f"pool = SandboxPool({tasks!r})\n"
        "sys.stdout.write(pool.run(b'pid').decode()); sys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    search_path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": search_path, "TMPDIR": str(tmp_path)}
    parent = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=False
    )
    assert parent.returncode == -signal.SIGKILL
    pid = int(parent.stdout)
    assert until(lambda: not is_alive(pid))
