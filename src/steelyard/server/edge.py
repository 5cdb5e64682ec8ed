"""`GET /v1/query`: an answer that browsers and edge caches can keep and ask about again.

The body holds only what the answer says, so that equal answers are equal bytes and their tag is
a strong one; what differs each time (id, times, cache outcome) is in headers.
"""

import hashlib
import json
import re
from difflib import get_close_matches

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from steelyard.core.chat import Answer
from steelyard.core.errors import InputError
from steelyard.core.ranking import Principal, Query
from steelyard.flows.cached import CacheUse
from steelyard.retrieve import check_query
from steelyard.server import outcomes
from steelyard.server.bodies import QueryBody, answer_json
from steelyard.server.errors import NO_STORE
from steelyard.server.live import live
from steelyard.server.questions import server_timing
from steelyard.server.requests import wish

PARAMETERS = ("q", "k", "collection")
SAID = ("answer", "answerable", "citations", "sources", "unsupported", "bundle", "degraded")
_TAG = re.compile(r'(?:W/)?("[^"]*")')


async def ask(request: Request) -> Response:
    """Answer a question given in the address; caches may keep it and ask whether it holds."""
    here = live(request)
    principal = here.door.principal(request)
    asked = _asked(request, principal)
    wished = wish(request)
    public = here.edge.public(principal)
    if_none_match = ", ".join(request.headers.getlist("if-none-match"))
    if if_none_match and wished.cache is CacheUse.NORMAL:
        known = here.edge.current(asked)
        if known is not None and _matches(if_none_match, known.etag):
            return Response(status_code=304, headers=here.edge.headers(known, public=public))
    with outcomes.failures(request, asked), here.app.serving.hold() as bundle:
        answer = await bundle.answering.answer(asked, wished)
    outcomes.answered(request, asked, answer)
    body = said(answer)
    headers = {
        "Server-Timing": server_timing(answer.usage.timings_ms),
        "Steelyard-Answer": answer.id,
        "Steelyard-Cache": answer.cache,
        "Steelyard-Snapshot": str(answer.snapshot),
    }
    if answer.degraded or not answer.answerable:  # a healthy server, a later document: better
        vary = {"Vary": "Authorization"} if here.edge.keyed else {}
        return _response(request, body, headers | vary | NO_STORE)
    validator = here.edge.remember(asked, answer, etag_of(body))
    headers |= here.edge.headers(validator, public=public)
    if if_none_match and _matches(if_none_match, validator.etag):
        return Response(status_code=304, headers=headers)
    return _response(request, body, headers)


def said(answer: Answer) -> bytes:
    """Return what an answer says as JSON: nothing in it differs between equal answers.

    Scores are left out: a document that joins the collection moves them all a little.
    """
    whole = answer_json(answer)
    body = {name: whole[name] for name in SAID} | {"model": answer.usage.model}
    for source in body["sources"]:
        del source["score"]
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def etag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _matches(if_none_match: str, etag: str) -> bool:
    """Compare as `If-None-Match` does: weakly, as proxies that compress make tags weak."""
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def _response(request: Request, body: bytes, headers: dict[str, str]) -> Response:
    headers["Content-Length"] = str(len(body))
    content = b"" if request.method == "HEAD" else body
    return Response(content, headers=headers, media_type="application/json")


def _asked(request: Request, principal: Principal) -> Query:
    """Return the question of the address.

    Raises:
        InputError: parameters are unknown, missing, repeated or wrong; names them all.
    """
    given = request.query_params
    faults = [
        f"{name!r} is no parameter{_nearest(name)}" for name in given if name not in PARAMETERS
    ]
    faults += [
        f"{name!r} is given {len(values)} times; give it once"
        for name in ("q", "k")
        if len(values := given.getlist(name)) > 1
    ]
    fields: dict[str, object] = {"query": given.get("q", "")}
    if "q" not in given:
        faults.append("'q' is missing; put the question there")
    if "k" in given:
        fields["k"] = given["k"]
    if "collection" in given:
        fields["collection"] = given.getlist("collection")
    try:
        query = QueryBody.model_validate(fields).to_query(principal)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False):
            value = str(fault["input"])[:40]
            faults.append(f"{fault['loc'][0]}={value!r}: {fault['msg']}")
    if faults:
        raise InputError("the address is not valid: " + "; ".join(faults), code="bad_parameter")
    check_query(query)
    return query


def _nearest(name: str) -> str:
    close = get_close_matches(name, PARAMETERS, n=1) or (["q"] if name == "query" else [])
    return f" (did you mean {close[0]!r}?)" if close else f" (there are {', '.join(PARAMETERS)})"
