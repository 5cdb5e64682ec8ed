"""Every error that Steelyard raises on purpose, sorted by who can repair it.

SteelyardError
├── InputError        the caller: change the request
│   ├── ParseError    the caller: this file cannot be read; `code` says why
│   ├── NotFound      the caller: no such thing, or none that you may see
│   └── Forbidden     the caller: you may not do this
├── SetupError        the operator: the message ends with what to run
├── Overloaded        time: try again after `retry_after_s`
└── UpstreamError     time: another system failed or stalled

Anything else that escapes is a bug of ours (an `assert`, a `TypeError`).
"""


class SteelyardError(Exception):
    """An expected failure; `code` is stable and machine-readable, the message is for people."""

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self.args[0])


class InputError(SteelyardError):
    """The request is wrong; the message names the value, the place and the repair."""

    code = "invalid_input"


class ParseError(InputError):
    """A file cannot be turned into text.

    Codes: `unsupported`, `empty`, `encrypted`, `damaged`, `too_large`, `no_text` (a scan),
    `expansion` (a bomb), `timeout`, `crashed`, `unreadable`.
    """

    code = "damaged"


class NotFound(InputError):
    """No such thing, or none that the principal may see; the two are not told apart."""

    code = "not_found"


class Forbidden(InputError):
    """The principal is known and may not do this."""

    code = "forbidden"


class SetupError(SteelyardError):
    """The installation, the home or a setting is wrong; the message ends with the repair."""

    code = "setup"


class Overloaded(SteelyardError):
    """No capacity now."""

    code = "overloaded"

    def __init__(
        self, message: str, *, retry_after_s: float = 1.0, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class UpstreamError(SteelyardError):
    """Another system (an LLM endpoint, a hub) failed, stalled or answered nonsense."""

    code = "upstream"

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
