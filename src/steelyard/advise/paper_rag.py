"""The published figures of retrieval: one-time, monthly, and what its context costs."""

from steelyard.advise.cells import Cell, largest
from steelyard.advise.marginal import SECONDS_PER_HOUR
from steelyard.advise.model import BYTES_PER_CHUNK, BYTES_PER_GB, MILLION, ONE_MONTH
from steelyard.advise.paper import Line, Paper
from steelyard.advise.paper_models import ENTRY_MODEL, SMALL_MODEL, own_hour

EMBEDDING = "embedding/text-embedding-3-small"
DATABASE = "vectordb/pinecone"
_ONCE, _MONTHLY = "Retrieval, one-time", "Retrieval, monthly"


def _corpus_tokens(paper: Paper) -> Cell:
    return (paper.said("embedding_documents") * paper.assumed("tokens_per_document")).named(
        "corpus tokens", "token"
    )


def _first_embedding(paper: Paper) -> Cell:
    price = paper.price(EMBEDDING, "USD/Mtoken")
    return (_corpus_tokens(paper) / MILLION * price).named("first embedding", "USD")


ONCE = (
    Line(
        "rag-embedding", _ONCE, "a million documents of 1,500 tokens each",
        "embedding_once", _first_embedding,
        "No length is given: {said} USD are documents of {tokens} tokens.",
        {
            "tokens": lambda paper: (
                paper.said("embedding_once") / paper.price(EMBEDDING, "USD/Mtoken") * MILLION
                / paper.said("embedding_documents")
            ).named("tokens of a document", "token/document")
        },
    ),
    Line(
        "rag-one-time", _ONCE, "embedding and vector database added", "rag_once",
        lambda paper: (paper.said("embedding_once") + paper.said("vector_db_once")).named(
            "one-time parts", "USD"
        ),
        "Its parts add up.",
    ),
)  # fmt: skip


def _stored(paper: Paper) -> Cell:
    inputs = paper.inputs()
    chunks = _corpus_tokens(paper) / inputs["chunk_tokens"]
    size = (chunks * BYTES_PER_CHUNK / BYTES_PER_GB).named("size of the index", "GB")
    price = paper.price(f"{DATABASE}/storage", "USD/GB/month")
    return (size * price).named("storage a month", "USD/month")


def _hosted(paper: Paper) -> Cell:
    minimum = paper.price(f"{DATABASE}/minimum", "USD/month")
    return largest(minimum, _stored(paper)).named("hosted database", "USD/month")


def _hosted_with_reads(paper: Paper, volume: str) -> Cell:
    minimum = paper.price(f"{DATABASE}/minimum", "USD/month")
    asked = paper.a_month(volume) / paper.assumed("questions_per_million")
    reads = asked * paper.assumed("read_units")
    price = paper.price(f"{DATABASE}/read", "USD/M read units")
    used = (_stored(paper) + reads * price).named("storage and reads", "USD/month")
    return largest(minimum, used).named("hosted database with reads", "USD/month")


def _self_hosted(paper: Paper) -> Cell:
    inputs = paper.inputs()
    chunks = _corpus_tokens(paper) / inputs["chunk_tokens"]
    size = (chunks * BYTES_PER_CHUNK / BYTES_PER_GB).named("size of the index", "GB")
    disk = size * paper.price("storage/disk", "USD/GB/month")
    server = paper.price("server/cpu-4", "USD/month")
    return (server + disk).named("a server and its disk", "USD/month")


def _new_embedding(paper: Paper) -> Cell:
    changed = (_corpus_tokens(paper) * paper.assumed("churn")).named("new tokens", "token/month")
    price = paper.price(EMBEDDING, "USD/Mtoken")
    return (changed / MILLION * price).named("embedding of new documents", "USD/month")


def _same_price(paper: Paper) -> Cell:
    return (paper.said("context") / paper.said("tokens_per_question")).named(
        "context over tokens", "1"
    )


def _by_price(paper: Paper, model: str) -> Cell:
    price_in = paper.price(f"{model}/in", "USD/Mtoken")
    price_out = paper.price(f"{model}/out", "USD/Mtoken")
    before = paper.assumed("tokens_read") * price_in + paper.assumed("tokens_written") * price_out
    return (paper.said("context") * price_in / before).named("context over the whole", "1")


def _all_written(paper: Paper) -> Cell:
    price_in = paper.price(f"{ENTRY_MODEL}/in", "USD/Mtoken")
    price_out = paper.price(f"{ENTRY_MODEL}/out", "USD/Mtoken")
    added = paper.said("context") * price_in
    return (added / (paper.said("tokens_per_question") * price_out)).named(
        "context over what is written", "1"
    )


def _share_of_inference(paper: Paper) -> Cell:
    return (paper.said("context_share") * paper.said("inference")).named(
        "share of the inference", "USD/month"
    )


def _context_tokens(paper: Paper) -> Cell:
    return (paper.a_month("support_volume") * paper.said("context")).named(
        "tokens of context a month", "token/month"
    )


def _context_usd(paper: Paper) -> Cell:
    price = paper.price(f"{SMALL_MODEL}/in", "USD/Mtoken")
    return (_context_tokens(paper) / MILLION * price).named("context by the token", "USD/month")


def _context_seconds(paper: Paper) -> Cell:
    before = paper.said("tokens_per_question")
    after = (before + paper.said("context")).named("tokens with context", "token/question")
    asked = paper.a_month("support_volume")
    short = asked / paper.rate(before, name="questions a second without context")
    long = asked / paper.rate(after, name="questions a second with context")
    more = ((long - short) / SECONDS_PER_HOUR).named("more hours", "gpu*hour/month")
    return (more * own_hour(paper)).named("more used seconds of an H100", "USD/month")


MONTHLY = (
    Line(
        "vector-db-hosted", _MONTHLY, "1M documents kept at Pinecone", "vector_db", _hosted,
        "Storage is {stored} USD, so the least a month is paid. Reading comes on top.",
        {"stored": _stored},
    ),
    Line(
        "vector-db-own", _MONTHLY, "a server of 4 cores and its disk", "vector_db",
        _self_hosted,
        "A machine costs money too where the software does not.",
    ),
    Line(
        "vector-db-reads-bot", _MONTHLY, "Pinecone, read a million times a day", "vector_db",
        lambda paper: _hosted_with_reads(paper, "support_volume"),
        "At one read unit a query, the least there is, reading alone goes beyond the article's "
        "upper end at its own volume.",
    ),
    Line(
        "vector-db-reads-kb", _MONTHLY, "Pinecone, read ten thousand times a day", "vector_db",
        lambda paper: _hosted_with_reads(paper, "kb_volume"),
        "At the knowledge base's volume reads vanish in the least a month.",
    ),
    Line(
        "embedding-new", _MONTHLY, "a quarter of the documents is new in a month", "embedding_new",
        _new_embedding,
        "No churn is given: {said} USD are {churn} of the documents, new in each month.",
        {
            "churn": lambda paper: (
                paper.said("embedding_new") / _first_embedding(paper) * ONE_MONTH
            ).named("share that is new in a month", "1")
        },
    ),
    Line(
        "context-same-price", _MONTHLY, "every token costs alike", "context_share", _same_price,
        "500 tokens more on 200 are not 40 to 80 % more of anything that is paid by the token.",
    ),
    Line(
        "context-by-price", _MONTHLY, "150 of the 200 tokens are read, 50 written",
        "context_share", lambda paper: _by_price(paper, ENTRY_MODEL),
        "{said} more takes a written token that costs {ratio} times a read one; the seller takes "
        "{taken}.",
        {
            "taken": lambda paper: (
                paper.price(f"{ENTRY_MODEL}/out", "USD/Mtoken")
                / paper.price(f"{ENTRY_MODEL}/in", "USD/Mtoken")
            ).named("written over read as sold", "1"),
            "ratio": lambda paper: (
                (paper.said("context") / paper.said("context_share")
                 - paper.assumed("tokens_read")) / paper.assumed("tokens_written")
            ).named("written over read", "1")
        },
    ),
    Line(
        "context-all-written", _MONTHLY, "all of the 200 tokens are written", "context_share",
        _all_written,
        "The one reading that gives it. Then its inference cannot be {inference} USD: 200 written "
        "tokens a query at the entry price are {written} USD a month.",
        {
            "inference": lambda paper: paper.said("inference"),
            "written": lambda paper: (
                paper.a_month("support_volume") * paper.said("tokens_per_question")
                * paper.price(f"{ENTRY_MODEL}/out", "USD/Mtoken") / MILLION
            ).named("200 written tokens", "USD/month"),
        },
    ),
    Line(
        "context-usd", _MONTHLY, "40 to 80 % of 300 to 500 USD", "context_usd", _share_of_inference,
        "Both published ends are of the upper 500 USD; of 300 the lower end would be 120.",
    ),
    Line(
        "context-by-token", _MONTHLY, "500 tokens a query by the token, an 8B model",
        "context_usd", _context_usd,
        "{said} USD are {each} USD a million tokens, a quarter of what its own inference costs a "
        "token. A cached prefix may cost so little; passages that differ by query do not.",
        {
            "each": lambda paper: (
                paper.said("context_usd") / _context_tokens(paper) * MILLION
            ).named("price of a million tokens of context", "USD/Mtoken")
        },
    ),
    Line(
        "context-seconds", _MONTHLY, "the seconds that 500 more tokens take on a full H100",
        "context_usd", _context_seconds,
        "By our throughput curve, stretched below its shortest measured point.",
    ),
)  # fmt: skip
