"""The queue of submissions."""

import asyncio

from steelyard.core.documents import State
from steelyard.flows.work import Ended, Work
from steelyard.store import Pending, Submission, Ticket


def test_a_submission_that_is_queued_twice_ends_once_for_whoever_waits() -> None:
    """As when a document is put while the home looks for what a crash left on its way."""
    ticket = Ticket(collection="default", id="d", version=1)
    submission = Submission(id="d", uri="u", collection="default", path="p", size_bytes=1)
    job = Pending(ticket, submission, State.QUEUED)

    async def play() -> int:
        work = Work()
        work.add([job], urgent=True)
        waiting = asyncio.create_task(work.settled([ticket]))
        await asyncio.sleep(0)
        work.add([job])  # the resuming home found it too
        taken = await work.take()
        work.end(Ended(taken.ticket, "u", State.SEARCHABLE))
        async with asyncio.timeout(10):
            await waiting
            await work.drained()
        return work.num_submitted

    assert asyncio.run(play()) == 1
