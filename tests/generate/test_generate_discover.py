"""Local model servers are found, everything else is passed over in silence."""

import steelyard.generate.discover as discover
from steelyard.generate import LocalEndpoint, discover_local
from steelyard.infra.mock_llm import MockOptions, serve_mock_llm


def test_servers_are_found_in_order_and_the_rest_passed_over(run, monkeypatch):
    async def scenario():
        names = ("llama3", "nomic-embed-text")
        async with (
            serve_mock_llm(MockOptions(models=names)) as healthy,
            serve_mock_llm(MockOptions(fault="html")) as page,
            serve_mock_llm(MockOptions(models=())) as empty,
            serve_mock_llm(MockOptions(fault="refuse")) as rude,
        ):
            ports = [page.port, healthy.port, empty.port, rude.port, 1]
            monkeypatch.setattr(discover, "USUAL_PLACES", tuple(("x", port) for port in ports))
            found = await discover_local(timeout_s=2.0)
            skipped = await discover_local(timeout_s=2.0, skip_ports=[healthy.port])
            return found, skipped, healthy.url

    found, skipped, url = run(scenario())
    assert found == [LocalEndpoint("x", url, ("llama3",))]
    assert skipped == []


def test_our_own_server_is_not_taken_for_a_model_server(run, monkeypatch):
    async def scenario():
        async with serve_mock_llm() as mock:
            monkeypatch.setattr(discover, "USUAL_PLACES", (("x", mock.port),))
            monkeypatch.setattr(
                discover, "list_models", _with_owner(discover.list_models, discover.OWNER)
            )
            return await discover_local(timeout_s=2.0)

    assert run(scenario()) == []


def _with_owner(list_models, owner):
    class Owned:
        def __init__(self, client):
            self._client = client

        async def get(self, url):
            response = await self._client.get(url)
            rows = response.json()
            for row in rows["data"]:
                row["owned_by"] = owner
            response.json = lambda: rows
            return response

    return lambda client, url: list_models(Owned(client), url)
