"""A set's documents into a home, through the pipeline that ingests everybody's."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from steelyard.app import App
from steelyard.core.documents import PUBLIC_GROUP, State
from steelyard.core.evaluation import SetDocument
from steelyard.flows.library import NewText
from steelyard.flows.work import Ended
from steelyard.store import Ticket

BATCH = 200  # documents a transaction


async def fill(
    app: App,
    documents: Sequence[SetDocument],
    *,
    on_progress: Callable[[int, int], None],
) -> list[str]:
    """Ingest documents under their own ids; return notes on those that cannot be searched.

    What an interrupted call has ingested is found again and costs nothing.

    Raises:
        SetupError, Overloaded: the home cannot be written.
    """
    ended: dict[str, Ended] = {}

    def on_end(one: Ended) -> None:
        ended[one.ticket.id] = one
        on_progress(len(ended), len(documents))

    async def everything() -> None:
        await app.library.resume()
        tickets: list[Ticket] = []
        for begin in range(0, len(documents), BATCH):
            new = [_text(one) for one in documents[begin : begin + BATCH]]
            tickets += (await app.library.put_texts(new, urgent=False)).tickets
        await app.library.settled(tickets)

    app.work.listen(on_end)
    try:
        await app.while_ingesting(everything())
    finally:
        app.work.unlisten(on_end)
    lost = [one for one in ended.values() if one.state is not State.SEARCHABLE]
    if not lost:
        return []
    return [
        f"{len(lost)} of {len(documents)} documents cannot be searched, as {lost[0].uri!r}: "
        f"{lost[0].error or lost[0].state.value}"
    ]


def _text(document: SetDocument) -> NewText:
    suffix = PurePosixPath(document.filename).suffix or ".txt"
    named = document.id.lower().endswith(suffix.lower())
    return NewText(
        id=document.id,
        text=document.text,
        title=document.title,
        uri=document.id if named else f"{document.id}{suffix}",
        groups=(PUBLIC_GROUP,),
    )
