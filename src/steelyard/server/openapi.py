"""The table of endpoints: routes are made from it, and so is the OpenAPI document."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from steelyard.server import (
    ab,
    costs,
    documents,
    edge,
    fine_tuning,
    lab,
    openai_api,
    operations,
    questions,
    registry,
    rerank,
    spending,
    uploads,
)
from steelyard.server.bodies import (
    ChatBody,
    DecisionBody,
    DocumentBody,
    EmbeddingsBody,
    FeedbackBody,
    PromoteBody,
    QueryBody,
    RerankBody,
    RollbackBody,
    SearchBody,
)
from steelyard.server.costs import AdviseBody
from steelyard.server.tuning_bodies import FineTuningBody
from steelyard.version import __version__

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route; its summary is the first line of the handler's docstring."""

    method: str
    path: str
    handler: Handler
    body: type[BaseModel] | None = None
    parameters: tuple[str, ...] = ()
    in_schema: bool = True

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip().splitlines()[0]


PAIR = ("arm", "against_run", "against")
PAGE = ("after", "limit")
JOBS = "/v1/fine_tuning/jobs"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/v1/query", questions.query, QueryBody),
    Endpoint("GET", "/v1/query", edge.ask, parameters=edge.PARAMETERS),
    Endpoint("POST", "/v1/search", questions.search, SearchBody),
    Endpoint("POST", "/v1/feedback", questions.feedback, FeedbackBody),
    Endpoint(
        "GET",
        "/v1/documents",
        documents.listing,
        parameters=("collection", "state", "after", "limit"),
    ),
    Endpoint("POST", "/v1/documents", documents.upload, parameters=("wait",)),
    Endpoint("PUT", "/v1/documents/{id:path}", documents.put, DocumentBody, ("wait",)),
    Endpoint("GET", "/v1/documents/{id:path}", documents.read, parameters=("collection",)),
    Endpoint("DELETE", "/v1/documents/{id:path}", documents.delete, parameters=("collection",)),
    Endpoint("POST", "/v1/chat/completions", openai_api.chat_completions, ChatBody),
    Endpoint("POST", "/v1/embeddings", openai_api.embeddings, EmbeddingsBody),
    Endpoint("POST", "/v1/rerank", rerank.rerank, RerankBody),
    Endpoint("GET", "/v1/models", openai_api.models),
    Endpoint("GET", "/v1/status", operations.status),
    Endpoint("GET", "/v1/operations", operations.recent, parameters=("window_s",)),
    Endpoint("GET", "/v1/ab", ab.standing, parameters=("name",)),
    Endpoint("GET", "/v1/evals", lab.runs),
    Endpoint("GET", "/v1/evals/{id}", lab.run),
    Endpoint("GET", "/v1/evals/{id}/comparison", lab.comparison, parameters=PAIR),
    Endpoint(
        "GET",
        "/v1/evals/{id}/items",
        lab.items,
        parameters=("measure", "order", *PAIR, "after", "limit"),
    ),
    Endpoint("GET", "/v1/evals/{id}/items/{question:path}", lab.item),
    Endpoint("GET", "/v1/evals/{id}/report", lab.report),
    Endpoint("GET", "/v1/question-sets", lab.question_sets),
    Endpoint(
        "GET",
        "/v1/question-sets/{name}/queue",
        lab.review_queue,
        parameters=("verdict", "after", "limit"),
    ),
    Endpoint("POST", "/v1/question-sets/{name}/decisions", lab.decisions, DecisionBody),
    Endpoint("POST", "/v1/advise", costs.weigh, AdviseBody),
    Endpoint("POST", "/v1/advise/page", costs.weigh_page, AdviseBody),
    Endpoint("GET", "/v1/advise/scenarios", costs.scenarios),
    Endpoint("POST", "/v1/files", uploads.upload_rows),
    Endpoint("GET", "/v1/files", uploads.list_files, parameters=("purpose", "order", *PAGE)),
    Endpoint("GET", "/v1/files/{id}", uploads.read_file),
    Endpoint("DELETE", "/v1/files/{id}", uploads.delete_rows),
    Endpoint("GET", "/v1/files/{id}/content", uploads.file_content),
    Endpoint("POST", JOBS, fine_tuning.create_job, FineTuningBody),
    Endpoint("GET", JOBS, fine_tuning.list_jobs, parameters=PAGE),
    Endpoint("GET", f"{JOBS}/{{id}}", fine_tuning.read_job),
    Endpoint("POST", f"{JOBS}/{{id}}/cancel", fine_tuning.cancel_job),
    Endpoint("POST", f"{JOBS}/{{id}}/pause", fine_tuning.pause_job),
    Endpoint("POST", f"{JOBS}/{{id}}/resume", fine_tuning.resume_job),
    Endpoint("GET", f"{JOBS}/{{id}}/events", fine_tuning.list_events, parameters=PAGE),
    Endpoint("GET", f"{JOBS}/{{id}}/checkpoints", fine_tuning.list_checkpoints, parameters=PAGE),
    Endpoint("GET", "/v1/tune/runs", fine_tuning.training_runs),
    Endpoint("GET", "/v1/tune/runs/{id}", fine_tuning.training_run),
    Endpoint(
        "GET", "/v1/tune/runs/{id}/metrics", fine_tuning.training_metrics, parameters=("after",)
    ),
    Endpoint("POST", "/v1/tune/runs/{id}/cancel", fine_tuning.cancel_training),
    Endpoint("GET", "/v1/spend", spending.spent, parameters=("since", "by", "machine")),
    Endpoint("GET", "/v1/registry", registry.versions),
    Endpoint("GET", "/v1/registry/history", registry.history, parameters=("version", "limit")),
    Endpoint("GET", "/v1/registry/versions/{version}", registry.version),
    Endpoint("POST", "/v1/registry/promote", registry.promote_version, PromoteBody),
    Endpoint("POST", "/v1/registry/rollback", registry.roll_back, RollbackBody),
    Endpoint("GET", "/healthz", operations.healthz),
    Endpoint("GET", "/readyz", operations.readyz),
    Endpoint("GET", "/metrics", operations.metrics),
    Endpoint("GET", "/openapi.json", operations.openapi, in_schema=False),
    Endpoint("GET", "/docs", operations.docs, in_schema=False),
    Endpoint("GET", "/", operations.page, in_schema=False),
)

UPLOAD = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["files"],
            "properties": {
                "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                "collection": {"type": "string"},
                "groups": {"type": "string", "description": "comma-separated"},
            },
        }
    }
}
ROWS = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file", "purpose"],
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "purpose": {"type": "string", "enum": ["fine-tune"]},
            },
        }
    }
}
FORMS: Mapping[Handler, Any] = {documents.upload: UPLOAD, uploads.upload_rows: ROWS}
ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "stable, for programs"},
                "message": {"type": "string", "description": "for people"},
                "retry_after_s": {"type": "number"},
            },
        }
    },
}


def openapi(endpoints: Sequence[Endpoint] = ENDPOINTS) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the endpoints."""
    bodies = [endpoint.body for endpoint in endpoints if endpoint.body is not None]
    _, schemas = models_json_schema(
        [(body, "validation") for body in bodies], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        if endpoint.in_schema:
            path = endpoint.path.replace(":path", "")
            paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Steelyard", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**schemas.get("$defs", {}), "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    names = re.findall(r"{(\w+)", endpoint.path)
    text = {"schema": {"type": "string"}}
    parameters = [{"name": n, "in": "path", "required": True, **text} for n in names]
    parameters += [{"name": n, "in": "query", **text} for n in endpoint.parameters]
    answer = {"application/json": {"schema": {"type": "object"}}}
    fault = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": endpoint.handler.__name__,
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": answer},
            "4XX": {"description": "the request is wrong", "content": fault},
            "5XX": {"description": "the server or what it relies on failed", "content": fault},
        },
    }
    if endpoint.body is not None:
        schema = {"$ref": f"#/components/schemas/{endpoint.body.__name__}"}
        content: dict[str, Any] = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.handler in FORMS:
        operation["requestBody"] = {"required": True, "content": FORMS[endpoint.handler]}
    return operation
