"""A running `steelyard serve`, as the tests of what stands before it see it."""

import json
import signal
import socket
import subprocess
from dataclasses import dataclass

import httpx2

LEAVE = "# Leave\n\nStaff get 31 days of paid leave a year. Leave is booked in Rostra.\n"
SECRET = "# Leave\n\nDirectors get 77 days of paid leave a year, which staff must not know.\n"


@dataclass(frozen=True, slots=True)
class Origin:
    """A running server and the secrets of its keys: `admin`, `director` and `edge`."""

    url: str
    keys: dict[str, str]
    process: "subprocess.Popen[str]"

    def stop(self) -> None:
        """End it as an operator would; once is enough."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)

    def client(self, key: str = "admin", url: str = "") -> httpx2.Client:
        """Return a client with this key ("": none), of the server or of what is before it."""
        headers = {"Authorization": f"Bearer {self.keys[key]}"} if key else {}
        return httpx2.Client(base_url=url or self.url, headers=headers, timeout=60, trust_env=False)

    def put(self, text: str = LEAVE, identity: str = "leave", **body: object) -> None:
        with self.client() as client:
            response = client.put(
                f"/v1/documents/{identity}", params={"wait": "true"}, json={"text": text, **body}
            )
        assert response.json()["state"] == "searchable"

    def delete(self, identity: str) -> None:
        with self.client() as client:
            assert client.delete(f"/v1/documents/{identity}").status_code == 200

    def answered(self, status: int) -> int:
        """Return how many questions were answered with this status so far."""
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        wanted = f'steelyard_requests_total{{route="/v1/query",status="{status}"}}'
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith(wanted))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def told_by(process: "subprocess.Popen[str]") -> dict[str, str]:
    """Return the JSON object that a process prints when it answers."""
    text = ""
    assert process.stdout is not None
    for line in process.stdout:
        text += line
        if line.rstrip().endswith("}"):
            told: dict[str, str] = json.loads(text)
            return told
    raise AssertionError(f"the process ended before it answered: {text!r}")
