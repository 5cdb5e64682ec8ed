"""An adapter merged into a copy of its base, for what loads no adapters, and proved."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from steelyard.adapters.probes import TOLERANCE, compare
from steelyard.adapters.probing import QUESTIONS, causal
from steelyard.adapters.servers import TOP
from steelyard.core.errors import InputError, SetupError
from steelyard.core.training import Turn
from steelyard.infra.files import explained, make_folder

CONVERTER = "convert_hf_to_gguf.py"
FOLDER_VARIABLE = "LLAMA_CPP"
CONVERT_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Merged:
    """`away` is the median distance of the merged model's next tokens to the adapter's own."""

    folder: Path
    away: float
    gguf: Path | None = None


def merge(base: Path, adapter: Path, target: Path) -> Merged:
    """Write base + adapter as 16-bit weights of their own, whole or not at all.

    Merged in float32 and rounded once, never into quantised weights; what comes out must answer
    as the adapter does. The adapter remains what is kept: this copy is for a server.

    Raises:
        InputError: there is something at `target`.
        SetupError: base and adapter do not fit, or the merged copy answers otherwise.
    """
    if target.exists():
        raise InputError(f"{str(target)!r} is there already; name another place, or remove it")
    make_folder(target.parent)
    beside = target.with_name(f".{target.name}.merging")
    shutil.rmtree(beside, ignore_errors=True)
    load_causal, write_merged = causal("load_causal", "write_merged")
    try:
        with explained(beside):
            write_merged(base, adapter, beside)
        tuned = load_causal(base, adapter=adapter)
        prompts = [tuned.template.render([Turn("user", one)], prompt=True) for one in QUESTIONS]
        wanted = [tuned.likeliest_after(prompt, count=TOP) for prompt in prompts]
        del tuned
        copy = load_causal(beside)
        away = compare([copy.likeliest_after(one, count=TOP) for one in prompts], wanted)
        if away > TOLERANCE:
            raise SetupError(
                f"the merged copy answers otherwise than the adapter on its base: next tokens are "
                f"{away:.2g} away, {TOLERANCE:g} at most are allowed; serve the adapter itself"
            )
        os.replace(beside, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Merged(target, away)


def find_converter() -> Path:
    """Return llama.cpp's converter: in `$LLAMA_CPP`, or on the PATH.

    Raises:
        SetupError: it is not on this machine.
    """
    folder = os.environ.get(FOLDER_VARIABLE, "").strip()
    places = [Path(folder).expanduser() / CONVERTER] if folder else []
    if found := shutil.which(CONVERTER):
        places.append(Path(found))
    for place in places:
        if place.is_file():
            return place
    raise SetupError(
        f"GGUF files are written by llama.cpp's {CONVERTER}, which is not on this machine; set "
        f"{FOLDER_VARIABLE} to a folder with llama.cpp's sources"
    )


def to_gguf(folder: Path, target: Path) -> Path:
    """Convert a merged model's folder to one 16-bit GGUF file by llama.cpp's own converter.

    Raises:
        SetupError: there is no converter, or it fails; with its last line.
    """
    converter = find_converter()
    beside = target.with_name(f".{target.name}.converting")
    command = [sys.executable, str(converter), str(folder), "--outfile", str(beside)]
    try:
        done = subprocess.run(
            [*command, "--outtype", "bf16"],
            capture_output=True, text=True, check=False, timeout=CONVERT_TIMEOUT_S,
        )  # fmt: skip
        if done.returncode or not beside.is_file():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
            raise SetupError(f"{str(converter)!r} failed ({done.returncode}): {last[0][:300]}")
        os.replace(beside, target)
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{str(converter)!r} did not end within an hour") from error
    finally:
        beside.unlink(missing_ok=True)
    return target
