"""Mail messages (RFC 5322): subject, who and when, and the body."""

import contextlib
import email
import email.policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

from steelyard.core.documents import BlockKind, MetadataValue
from steelyard.core.errors import ParseError
from steelyard.parse import html, text
from steelyard.parse.decode import clean, decode
from steelyard.parse.draft import Composer, Draft, one_line

_NEEDED = frozenset(("from", "to", "subject", "date"))
# What the standard library's header parser raises on headers that it did not foresee.
_MALFORMED = (ValueError, LookupError, AttributeError, TypeError)
_SHOWN = ("From", "To", "Cc", "Date")


def parse(content: bytes) -> Draft:
    """Return the message's headers, its body (plain if there is one) and its attachments' names.

    Raises:
        ParseError: no message (`damaged`).
    """
    message = email.message_from_bytes(content, policy=email.policy.default)
    if not _NEEDED & {name.lower() for name, _ in message.raw_items()}:
        raise ParseError("the file has none of a mail's headers", code="damaged")
    composer = Composer()
    subject = _header(message, "Subject")
    composer.heading(subject, level=1)
    shown = ((name, _header(message, name)) for name in _SHOWN)
    composer.add(
        BlockKind.PARAGRAPH, "\n".join(f"{name}: {value}" for name, value in shown if value)
    )
    try:
        composer.absorb(_body(message), deeper=1)
        names = _attachments(message)
    except _MALFORMED as error:
        raise ParseError(f"the mail's structure is malformed: {error}", code="damaged") from None
    composer.add(BlockKind.PARAGRAPH, f"Attachments: {', '.join(names)}" if names else "")
    return composer.draft(title=subject, metadata=_metadata(message, names))


def _header(message: EmailMessage, name: str) -> str:
    try:
        return one_line(clean(str(message.get(name, ""))))[:2000]
    except _MALFORMED:
        raw = dict(message.raw_items()).get(name, "")
        return one_line(clean(str(raw)))[:2000]


def _body(message: EmailMessage) -> Draft:
    body = message.get_body(preferencelist=("plain", "html"))
    if body is None:
        return Composer().draft()
    payload = body.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    charset = body.get_content_charset()
    try:
        words = clean(content.decode(charset or "")) if charset else decode(content)
    except (LookupError, UnicodeDecodeError):
        words = decode(content)
    return html.parse(words) if body.get_content_type() == "text/html" else text.parse(words)


def _attachments(message: EmailMessage) -> list[str]:
    names = (part.get_filename() for part in message.walk() if not part.is_multipart())
    return [one_line(clean(name))[:200] for name in names if name]


def _metadata(message: EmailMessage, attachments: list[str]) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {"author": _header(message, "From")}
    with contextlib.suppress(ValueError, TypeError):
        metadata["created"] = parsedate_to_datetime(_header(message, "Date")).isoformat()
    if attachments:
        metadata["attachments"] = list(attachments)
    return {key: value for key, value in metadata.items() if value}
