"""Citation marks for an answer that a person wrote."""

from collections.abc import Sequence

from steelyard.core.chat import Passage
from steelyard.core.marks import marked_sentences
from steelyard.generate.support import Evidence, support

SURE = 0.5  # of support: a wrong mark teaches worse than a missing one


def with_marks(text: str, passages: Sequence[Passage]) -> str:
    """Return `text` with `[n]` behind each sentence that has no mark and that a passage backs."""
    evidence = [
        (passage.n, Evidence.of(passage.text, context="\n".join((passage.title, *passage.heading))))
        for passage in passages
    ]
    marked = text
    for sentence in reversed(marked_sentences(text)):
        if sentence.cited or not any(map(str.isalnum, sentence.text)):
            continue
        backed = [(support(sentence.text, one), -n) for n, one in evidence]
        best, n = max(backed, default=(0.0, 0))
        if best >= SURE:
            marked = f"{marked[: sentence.end].rstrip()} [{-n}]{marked[sentence.end :]}"
    return marked
