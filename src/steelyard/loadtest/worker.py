"""A process that asks: `python -m steelyard.loadtest.worker`, driven by lines of JSON.

It reads what to send, connects, writes "ready", waits for "go", and writes the samples. A "stop",
or the end of its input (whoever started it died), ends the asking early; what was measured is
written all the same.
"""

import asyncio
import json
import sys

from steelyard.infra.concurrent import loop_factory
from steelyard.loadtest.drive import Drive, Driven, load_from_row

LINE_BYTES = 512 * 2**20  # all the questions come in one line


async def work(commands: asyncio.StreamReader) -> Driven:
    drive = Drive(load_from_row(json.loads(await commands.readline())))
    await drive.open()
    _say("ready")
    if await commands.readline() != b"go\n":
        drive.stop()

    async def listen() -> None:
        await commands.readline()
        drive.stop()

    listening = asyncio.create_task(listen())
    try:
        return await drive.run()
    finally:
        listening.cancel()


async def main() -> None:
    commands = asyncio.StreamReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    driven = await work(commands)
    rows = [sample.row() for sample in driven.samples]
    _say(json.dumps({"samples": rows, "took_s": driven.took_s}))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
