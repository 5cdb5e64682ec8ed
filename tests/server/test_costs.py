"""`/v1/advise`: a scenario weighed over HTTP, alone at a time, for operators."""

import sys
import threading
from datetime import date
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evals" / "report"))

from made import made_run
from test_lab import RUN, keep

from steelyard.advise import scenario_names
from steelyard.cost.book import built_in_units
from steelyard.cost.own import add_row
from steelyard.server import costs

ARMS = ("base", "rag", "tuned", "tuned+rag")
FEW = {"draws": 200}


def weigh(client, **body):
    return client.post("/v1/advise", json=FEW | body)


def message(response, status=400):
    assert response.status_code == status, response.text
    return response.json()["error"]["message"]


@pytest.fixture
def measured(open_client):
    """A client of a home with a run of the four arms, and one of arms by other names."""

    def prepare(app):
        keep(app.home, made_run(60, arms=ARMS, measures=("F1", "p95_ms")))

    return open_client(prepare=prepare)


def test_a_named_scenario_is_weighed_with_stated_defaults(client):
    told = weigh(client, scenario="internal-kb").json()
    assert told["scenario"]["name"] == "internal-kb"
    assert told["measured"]["assumed"] is True
    assert len(told["options"]) == 6
    for row in told["options"]:
        for figure, name in row["formulas"].items():
            assert name in told["formulas"], figure
    assert all("origin" in row or row["formula"] for row in told["formulas"].values())


def test_inputs_stand_over_a_base(client):
    told = weigh(client, base="internal-kb", scenario={"questions_per_day": 77}).json()
    assert told["scenario"]["inputs"]["questions_per_day"]["value"] == 77
    assert told["scenario"]["choices"]["citations"] is True


def test_a_run_replaces_the_defaults_and_is_named_as_the_source(measured):
    told = weigh(measured, scenario="small-team", run=RUN).json()
    assert told["measured"]["assumed"] is False
    assert RUN in told["measured"]["source"]
    assert RUN in told["formulas"]["rag quality"]["origin"]["source"]
    assert told["formulas"]["rag quality"]["origin"]["seen"]


def test_what_if_moves_a_price_and_a_figure(client):
    changed = {"price of gpu/h100-sxm": 1.0, "rag quality": 0.99}
    told = weigh(client, scenario={}, what_if=changed).json()
    assert told["formulas"]["price of gpu/h100-sxm"]["value"] == 1.0
    assert told["formulas"]["rag quality"]["value"] == 0.99


def test_every_fault_is_told_at_once_with_the_allowed_range(measured):
    wrong = {"questions_per_day": -5, "hit_ratio": "much", "colour": 1}
    told = message(weigh(measured, scenario=wrong, run=RUN, measure="beauty"))
    for part in ("questions_per_day: -5", "from 0.1 to 1e+10", "hit_ratio", "colour", "beauty"):
        assert part in told


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"scenario": "no-such"}, 404, "no-such"),
        ({"base": "no-such"}, 404, "no-such"),
        ({"scenario": "internal-kb", "base": "small-team"}, 400, "base"),
        ({"run": "e-none"}, 404, "no run"),
        ({"scenario": {"gpu": "gpu/none"}}, 404, "gpu/none"),
        ({"scenario": {"vector_db": "vectordb/weaviate-flex"}}, 400, "USD/GB-month"),
        ({"scenario": {"api_model": "", "gpu": ""}}, 400, "nothing could answer"),
        ({"draws": 1}, 400, "draws"),
        ({"draws": 1_000_000}, 400, "draws"),
        ({"sneaky": 1}, 400, "sneaky"),
        ({"scenario": 5}, 400, "scenario"),
        ({"what_if": {"rag quality": 2}}, 400, "rag quality"),
        ({"what_if": {"price of gpu/none": 2}}, 404, "gpu/none"),
    ],
)
def test_bad_input_is_named(client, body, status, part):
    assert part in message(weigh(client, **body), status)


def test_the_page_is_a_file_that_nothing_runs_in(client):
    response = client.post("/v1/advise/page", json=FEW | {"scenario": "support-bot"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "attachment" in response.headers["content-disposition"]
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "What answering costs: support-bot" in response.text


def test_scenarios_come_with_inputs_and_what_can_be_chosen(client):
    told = client.get("/v1/advise/scenarios").json()
    assert [one["name"] for one in told["scenarios"]] == list(scenario_names())
    keys = {one["key"] for one in told["inputs"]}
    assert keys == set(told["scenarios"][0]["inputs"])
    models = [one["item"] for one in told["items"]["model"]]
    assert "gpt-6-luna" in models[:100]  # ours come before two thousand of list prices
    for choice in ("gpu", "training", "embedding", "vector_db", "server", "disk", "person"):
        assert told["items"][choice], choice
        for one in told["items"][choice]:
            chosen = {choice: one["item"]}
            assert weigh(client, scenario=chosen).status_code == 200, one


def test_a_row_of_the_users_own_can_be_chosen_and_priced(open_client):
    def prepare(app):
        row = {"item": "gpu/ours", "usd": 0.5, "unit": "USD/hour", "source": "our bill"}
        add_row(app.home, row | {"seen": date(2026, 11, 1)}, units=built_in_units())

    client = open_client(prepare=prepare)
    told = client.get("/v1/advise/scenarios").json()
    assert {"item": "gpu/ours", "costs": "0.5 USD/hour"} in told["items"]["gpu"]
    told = weigh(client, scenario={"gpu": "gpu/ours"}).json()
    assert "our bill" in told["formulas"]["price of gpu/ours"]["origin"]["source"]


def test_only_operators_see_costs(open_client):
    secrets = {}

    def prepare(app):
        secrets["staff"] = app.store.add_key("staff", ("public",))

    client = open_client(prepare=prepare)
    headers = {"Authorization": f"Bearer {secrets['staff']}"}
    asked = [("GET", "/v1/advise/scenarios"), ("POST", "/v1/advise"), ("POST", "/v1/advise/page")]
    for method, path in asked:
        assert client.request(method, path, json=FEW).status_code == 401
        refused = client.request(method, path, json=FEW, headers=headers)
        assert "may not see costs" in message(refused, 403)


def test_one_is_weighed_at_a_time_and_health_is_answered_meanwhile(client, monkeypatch):
    inside, most, let_go = [], [], threading.Event()
    real = costs.advise

    def slow(question, *, draws):
        inside.append(1)
        most.append(len(inside))
        let_go.wait(20)
        inside.pop()
        return real(question, draws=draws)

    monkeypatch.setattr(costs, "advise", slow)
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(weigh(client, scenario={}).status_code))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while not inside:
        threading.Event().wait(0.01)
    assert client.get("/healthz").json() == {"ok": True}
    let_go.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 3
    assert max(most) == 1


def test_every_input_that_flips_or_swings_has_its_origin(client):
    for name in scenario_names():
        told = weigh(client, scenario=name).json()
        for one in [*told["flips"], *told["tornado"]]:
            assert "origin" in told["formulas"][one["input"]], one
