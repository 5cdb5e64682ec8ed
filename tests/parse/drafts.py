"""A draft as a test reads it: its blocks by kind, level and words."""

from steelyard.core.documents import Block, BlockKind
from steelyard.parse.draft import Draft

H, P, L, T, C = (
    BlockKind.HEADING,
    BlockKind.PARAGRAPH,
    BlockKind.LIST,
    BlockKind.TABLE,
    BlockKind.CODE,
)


def shape(draft: Draft) -> list[tuple[BlockKind, int, str]]:
    def words(block: Block) -> str:
        return draft.text[block.start : block.end]

    return [(block.kind, block.level, words(block)) for block in draft.blocks]


def kinds(draft: Draft) -> list[BlockKind]:
    return [block.kind for block in draft.blocks]
