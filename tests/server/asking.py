"""Two documents, and how the tests of the edge put and ask."""

from starlette.testclient import TestClient

LEAVE = "# Leave\n\nStaff get 31 days of paid leave a year. Leave is booked in Rostra.\n"
NOTICE = "# Notice\n\nThe notice period is three months for everybody.\n"
QUESTION = "How many days of paid leave do staff get a year?"


def put(client: TestClient, identity: str = "leave", text: str = LEAVE, **body: object) -> None:
    headers = body.pop("headers", None)
    response = client.put(
        f"/v1/documents/{identity}?wait=true", json={"text": text, **body}, headers=headers
    )
    assert response.json()["state"] == "searchable"


def ask(client: TestClient, question: str = QUESTION, *, etag: str = "", **parameters: object):
    headers = dict(parameters.pop("headers", {}))
    if etag:
        headers["If-None-Match"] = etag
    return client.get("/v1/query", params={"q": question, **parameters}, headers=headers)
