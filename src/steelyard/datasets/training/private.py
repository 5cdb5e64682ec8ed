"""Secrets and personal data in a text: found by their shape, proved by their check digits."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SHOWN_CHARS = 3

_KEY = re.compile(
    r"\b(?:sk-(?:proj-|ant-|live-|test-)?[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic
    r"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
    r"|glpat-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,}|AIza[A-Za-z0-9_-]{35}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{36}"
    r"|hooks\.slack\.com/services/[A-Za-z0-9/]{20,}|ya29\.[A-Za-z0-9_-]{20,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|AccountKey=[A-Za-z0-9+/=]{40,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"  # JSON web token
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
)
# What every key has in it: looking for these is ten times as quick as looking for keys.
_KEY_SIGNS = (
    *("sk-", "sk_", "rk_", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    *("glpat-", "hf_", "AIza", "xox", "npm_", "eyJ", "-----BEGIN", "hooks.slack", "ya29."),
    *("SG.", "AccountKey="),
)
_ASSIGNED_SIGNS = ("passw", "secret", "api", "access")
_ASSIGNED = re.compile(
    r"\b(?:password|passwd|secret|api[_-]?key|access[_-]?token)\b['\"]?\s*[:=]\s*['\"]?"
    r"(?=[^\s'\"]*\d)[^\s'\"]{8,}",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,64}:[^\s/@]{3,}@")
_BEARER = re.compile(r"\bBearer\s+(?=[^\s\"']*\d)[A-Za-z0-9._~+/-]{20,}")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_DIGITS = re.compile(r"(?<![\w.,])\+?\(?\d[\d ()./-]{6,28}\d(?![\w]|[.,]\d)")
_HAS_DIGITS = re.compile(r"\d[\d ()./-]{6}")
_PHONE = re.compile(
    r"\+[1-9][\d ()./-]{7,20}"  # international
    r"|\(\d{3}\) ?\d{3}[-. ]\d{4}|\d{3}[-.]\d{3}[-.]\d{4}"  # North America
    r"|0\d{2,4}[ /-]\d[\d -]{4,10}"  # national, with an area code
)
_SOCIAL = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")  # of the United States
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")


@dataclass(frozen=True, slots=True)
class Private:
    """What was found, and as much of it as may be shown."""

    what: str
    shown: str

    def __str__(self) -> str:
        return f"{self.what} {self.shown}"


def find_private(text: str) -> Iterator[Private]:
    """Yield keys, e-mail addresses, bank accounts, cards and telephone numbers in a text.

    Cheap looks come first: most texts hold nothing of the kind.
    """
    if _has_one(text, _KEY_SIGNS):
        for found in _KEY.finditer(text):
            yield Private("secret key", masked(found.group()))
    if ("=" in text or ":" in text) and _has_one(text.lower(), _ASSIGNED_SIGNS):
        for found in _ASSIGNED.finditer(text):
            yield Private("password", masked(found.group(), shown=0))
    if "://" in text and "@" in text:
        for found in _IN_ADDRESS.finditer(text):
            yield Private("password", masked(found.group(), shown=0))
    if "Bearer" in text:
        for found in _BEARER.finditer(text):
            yield Private("secret key", masked(found.group(), shown=0))
    if "@" in text:
        for found in _EMAIL.finditer(text):
            yield Private("e-mail address", masked(found.group()))
    if not _HAS_DIGITS.search(text):
        return
    accounts = [one for one in _IBAN.finditer(text) if is_iban(one.group())]
    for found in accounts:
        yield Private("bank account", masked(found.group()))
    for found in _DIGITS.finditer(text):
        if any(one.start() <= found.start() < one.end() for one in accounts):
            continue
        number = found.group()
        if _SOCIAL.fullmatch(number):
            yield Private("social security number", masked(number, shown=0))
        elif is_card(number):
            yield Private("payment card", masked(number))
        elif is_phone(number):
            yield Private("telephone number", masked(number))


def _has_one(text: str, signs: Iterable[str]) -> bool:
    return any(map(text.__contains__, signs))


def is_iban(text: str) -> bool:
    """Tell whether an account's check digits are right (ISO 13616: mod 97 is 1)."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def is_card(text: str) -> bool:
    """Tell whether a number is written as cards are and its check digit is right (Luhn)."""
    digits = re.sub(r"[ -]", "", text)
    if not digits.isdigit() or not 13 <= len(digits) <= 19 or digits[0] not in "3456":
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(digits)) > 1


def is_phone(text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    shaped = _PHONE.fullmatch(text.strip()) is not None
    return shaped and 7 <= digits <= 15 and not _DATE.fullmatch(text)


def masked(text: str, *, shown: int = SHOWN_CHARS) -> str:
    """Return the first characters of a text and its length: enough to find it again."""
    return f"{text[:shown]}… ({len(text)} characters)"
