"""The Lab's endpoints: runs, two arms, one question, the report's file, the review of a set."""

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "evals" / "report"))

from made import HOSTILE, made_run

from steelyard.core.evaluation import Question
from steelyard.datasets import Made, add_questions, set_folder
from steelyard.evals.records import Records, records_path

RUN = "e-20261121-7f3a"
ACCEPTABLE = Question("one", "How many days of leave?", answers=("31",), origin="synthetic")
BARE = Question("two", "Who said so?", origin="log")


def keep(home, made):
    """Keep a run as the harness does."""
    with Records(records_path(home)) as records:
        numbers = {
            arm: [
                kept.number
                for kept in records.keep(
                    (f"{made.report.id}{arm}{o.question_id}".encode(), o) for o in found
                )
            ]
            for arm, found in made.outcomes.items()
        }
        records.save(made.report, made.questions.questions, numbers)


@pytest.fixture
def lab(open_client):
    """A client of a home with two runs of one set and one question set under review."""
    made = made_run(60)

    def prepare(app):
        keep(app.home, made)
        later = dataclasses.replace(made, report=dataclasses.replace(made.report, id="e-later"))
        keep(app.home, later)
        folder = set_folder(app.home, "handbook")
        add_questions(folder, [Made(ACCEPTABLE, source="leave.md"), Made(BARE, note="a guess")])

    return open_client(prepare=prepare)


def test_a_home_without_runs_has_empty_lists_and_no_file(open_client, tmp_path):
    client = open_client()
    assert client.get("/v1/evals").json() == {"runs": []}
    assert client.get("/v1/question-sets").json() == {"sets": []}
    assert list(tmp_path.rglob("records.db")) == []
    missing = client.get("/v1/evals/x")
    assert missing.status_code == 404
    assert "keeps no run" in missing.json()["error"]["message"]


def test_runs_are_listed_newest_first(lab):
    later, first = lab.get("/v1/evals").json()["runs"]
    assert (later["id"], first["id"]) == ("e-later", RUN)
    assert first["arms"] == ["base", "+embedder", "+reranker"]
    assert first["num_questions"] == 60
    assert sum(first["verdicts"]["+reranker"].values()) == 4


def test_a_run_tells_its_verdicts_in_words(lab):
    run = lab.get(f"/v1/evals/{RUN}").json()
    assert run["verdicts"][0]["text"] == "base is the baseline."
    assert run["arms"][0]["figures"]["nDCG@10"]["bounds"].startswith("[0.")
    assert "question_ids" not in run


def test_two_arms_of_one_run_or_of_two_are_compared(lab):
    path = f"/v1/evals/{RUN}/comparison"
    within = lab.get(path, params={"arm": "+reranker"}).json()["comparisons"]
    across = lab.get(path, params={"arm": "+reranker", "against_run": "e-later"}).json()
    assert [one["measure"] for one in within] == ["nDCG@10", "F1", "p95_ms", "cost_usd"]
    for one, other in zip(within, across["comparisons"], strict=True):
        assert one["delta"]["value"] == pytest.approx(other["delta"]["value"])
    itself = lab.get(path, params={"arm": "base"})
    assert itself.status_code == 400
    assert "with itself" in itself.json()["error"]["message"]
    assert lab.get(path, params={"arm": "nobody"}).status_code == 404


def test_questions_come_in_pages_worst_first(lab):
    path = f"/v1/evals/{RUN}/items"
    first = lab.get(path, params={"limit": 40}).json()
    rest = lab.get(path, params={"limit": 40, "after": first["next"]}).json()
    assert (first["next"], rest["next"], first["num"]) == ("40", None, 60)
    ids = [row["id"] for page in (first, rest) for row in page["items"]]
    assert len(set(ids)) == 60
    assert first["items"][0]["kind"] == "loss"
    for wrong in ({"order": "best"}, {"measure": "BLEU"}, {"limit": "0"}, {"after": "-1"}):
        assert lab.get(path, params=wrong).status_code == 400


def test_one_question_has_every_arm(lab):
    found = lab.get(f"/v1/evals/{RUN}/items/q-00001").json()
    assert HOSTILE in found["text"]
    assert [arm["name"] for arm in found["arms"]] == ["base", "+embedder", "+reranker"]
    assert lab.get(f"/v1/evals/{RUN}/items/nobody").status_code == 404


def test_the_report_is_one_file_that_may_do_nothing_but_run_its_own_script(lab):
    first = lab.get(f"/v1/evals/{RUN}/report")
    policy = first.headers["content-security-policy"]
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "sandbox allow-scripts" in policy
    assert "<h1>handbook</h1>" in first.text
    assert lab.get(f"/v1/evals/{RUN}/report").content == first.content


def test_a_deleted_run_is_gone_at_once_and_its_page_with_the_next(lab, tmp_path):
    for run in (RUN, "e-later"):
        assert lab.get(f"/v1/evals/{run}").status_code == 200
    assert lab.get("/v1/evals/e-later/report").status_code == 200
    with Records(records_path(tmp_path / "home0")) as records:
        records.delete("e-later")
    for path in ("", "/items", "/report", "/comparison?arm=base"):
        assert lab.get(f"/v1/evals/e-later{path}").status_code == 404
    lab.get(f"/v1/evals/{RUN}/report")
    assert [page.name.rpartition("-")[0] for page in tmp_path.rglob("*.html")] == [RUN]


def test_the_newest_run_answers_to_its_nickname(lab, tmp_path):
    assert lab.get("/v1/evals/last").json()["id"] == "e-later"
    with Records(records_path(tmp_path / "home0")) as records:
        records.delete("e-later")
    assert lab.get("/v1/evals/last").json()["id"] == RUN


def test_other_answers_keep_the_servers_policy(lab):
    policy = lab.get("/v1/evals").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")


def test_a_question_is_accepted_edited_rejected_and_taken_back(lab):
    path = "/v1/question-sets/handbook"
    waiting = lab.get(f"{path}/queue").json()
    assert [row["id"] for row in waiting["items"]] == ["one", "two"]
    assert waiting["items"][0]["source"] == "leave.md"

    def decide(**body):
        return lab.post(f"{path}/decisions", json=body)

    assert decide(id="one", verdict="accept").json()["by"] == "public"
    edited = decide(id="two", verdict="edit", question="Who said it?", answers=["Noor"]).json()
    assert (edited["question"], edited["answers"], edited["verdict"]) == (
        "Who said it?",
        ["Noor"],
        "edit",
    )
    assert lab.get(f"{path}/queue").json()["items"] == []
    counts = lab.get("/v1/question-sets").json()["sets"][0]["by_verdict"]
    assert counts == {"pending": 0, "accept": 1, "edit": 1, "reject": 0}
    decide(id="one", verdict="pending")
    decide(id="two", verdict="reject")
    assert lab.get(f"{path}/queue", params={"verdict": "reject"}).json()["counts"]["pending"] == 1


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"id": "one", "verdict": "maybe"}, 400, "verdict"),
        ({"id": "nobody", "verdict": "accept"}, 404, "nobody"),
        ({"id": "two", "verdict": "accept"}, 400, "gold"),
        ({"id": "one", "verdict": "edit"}, 400, "edit"),
        ({"id": "one", "verdict": "accept", "answer": "x"}, 400, "answer"),
    ],
)
def test_a_wrong_decision_says_what_is_wrong(lab, body, status, told):
    response = lab.post("/v1/question-sets/handbook/decisions", json=body)
    assert response.status_code == status
    assert told in response.json()["error"]["message"]


def test_an_unknown_set_and_a_path_for_a_name_are_refused(lab):
    assert lab.get("/v1/question-sets/nobody/queue").status_code == 404
    assert lab.get("/v1/question-sets/..%2F..%2Fetc/queue").status_code in (400, 404)
    assert lab.get("/v1/question-sets/.hidden/queue").status_code == 400


def test_only_operators_see_the_lab(open_client):
    secrets = {}

    def prepare(app):
        secrets["staff"] = app.store.add_key("staff", ("public",))

    client = open_client(prepare=prepare)
    headers = {"Authorization": f"Bearer {secrets['staff']}"}
    for path in ("/v1/evals", "/v1/evals/x", "/v1/evals/x/report", "/v1/question-sets"):
        assert client.get(path).status_code == 401
        refused = client.get(path, headers=headers)
        assert refused.status_code == 403
        assert "may not see evaluations" in refused.json()["error"]["message"]
    decision = {"id": "one", "verdict": "accept"}
    path = "/v1/question-sets/x/decisions"
    assert client.post(path, json=decision, headers=headers).status_code == 403
