"""Files and fine-tuning jobs through the official client, against the real server and its queue.

Training is done by a child that writes the files of a real run (tests/jobs/fake_child.py).
"""

import json
import time

import openai
import pytest

from steelyard.jobs import RUNS

STEPS = 4


def chat(n):
    turns = [{"role": "user", "content": f"Where is form {n}?"},
             {"role": "assistant", "content": f"Form {n} is in drawer {n}."}]  # fmt: skip
    return {"messages": turns}


def preference(n):
    return {
        "input": {"messages": [{"role": "user", "content": f"Where is form {n}?"}]},
        "preferred_output": [{"role": "assistant", "content": f"In drawer {n}."}],
        "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
    }


def retrieval(n):
    return {"query": f"where is form {n}?", "positives": [f"Form {n} is in drawer {n}."]}


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def registered(served):
    [version] = served[1].app.state.live.app.store.versions()
    return version


@pytest.fixture
def api(served):
    return served[0]


def upload(api, rows, name="rows.jsonl"):
    return api.files.create(file=(name, jsonl(rows)), purpose="fine-tune")


def until(api, job, *statuses):
    ends = time.monotonic() + 30  # only so that a fault is no endless loop
    while (found := api.fine_tuning.jobs.retrieve(job.id)).status not in statuses:
        assert time.monotonic() < ends, found
        time.sleep(0.02)
    return found


def test_a_file_is_kept_checked_listed_read_and_deleted(api):
    rows = [chat(n) for n in range(3)]
    stored = upload(api, rows, "forms & drawers.jsonl")
    assert (stored.status, stored.bytes, stored.status_details) == (
        "processed", len(jsonl(rows)), None,
    )  # fmt: skip
    assert stored.filename == "forms _ drawers.jsonl"
    assert api.files.retrieve(stored.id).id == stored.id
    assert api.files.content(stored.id).read() == jsonl(rows)
    assert [one.id for one in api.files.list(purpose="fine-tune")] == [stored.id]
    assert api.files.delete(stored.id).deleted is True
    assert list(api.files.list()) == []
    with pytest.raises(openai.NotFoundError, match="no file"):
        api.files.retrieve(stored.id)


def test_every_fault_of_an_upload_is_told_with_its_line_and_field(api):  # FIELD 2
    rows = [chat(1), {"messages": [{"role": "user"}]}, chat(2), {"messages": "hello"}]
    stored = upload(api, rows)
    assert stored.status == "error"
    assert "rows.jsonl:2" in stored.status_details
    assert "rows.jsonl:4" in stored.status_details
    assert "'messages'" in stored.status_details
    with pytest.raises(openai.BadRequestError, match=r"rows.jsonl:2") as raised:
        api.fine_tuning.jobs.create(model="base", training_file=stored.id)
    assert raised.value.code == "invalid_file"


def test_a_file_that_fits_no_form_is_an_error_before_anything_is_trained(api):  # FIELD 1
    stored = upload(api, [{"prompt": "x", "answer": "y"}])
    assert stored.status == "error"
    assert "no form fits" in stored.status_details


@pytest.mark.parametrize(
    ("content", "purpose", "told"),
    [(b"", "fine-tune", "is empty"), (b"{}", "assistants", "purpose 'assistants'")],
)
def test_an_upload_that_is_none_is_refused(api, content, purpose, told):
    with pytest.raises(openai.BadRequestError, match=told):
        api.files.create(file=("rows.jsonl", content), purpose=purpose)


def test_a_job_is_queued_trained_and_succeeds(served, tmp_path):
    api, _ = served
    train = upload(api, [chat(n) for n in range(5)])
    held_out = upload(api, [chat(n) for n in range(5, 7)])
    job = api.fine_tuning.jobs.create(
        model="base",
        training_file=train.id,
        validation_file=held_out.id,
        method={"type": "supervised", "supervised": {"hyperparameters": {
            "n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": 0.5}}},
        seed=7,
        suffix="forms",
        metadata={"team": "hr"},
        extra_body={"steelyard": {"recipe": {"lora": {"rank": 4}, "train": {"warmup": 0.2}}}},
    )  # fmt: skip
    assert job.status in ("queued", "running")
    assert (job.seed, job.metadata, job.model) == (7, {"team": "hr"}, "base")
    assert job.method.supervised.hyperparameters.n_epochs == 3
    assert job.method.supervised.hyperparameters.batch_size == "auto"
    recipe = job.steelyard["recipe"]
    assert recipe == {
        "kind": "llm",
        "base": "base",
        "threads": 1,
        "data": {"train": job.steelyard["dataset"], "eval": recipe["data"]["eval"]},
        "seed": 7,
        "train": {"epochs": 3, "lr": 1e-4, "warmup": 0.2},
        "lora": {"rank": 4},
    }
    done = until(api, job, "succeeded", "failed")
    assert done.status == "succeeded"
    assert done.error is None
    assert done.fine_tuned_model == registered(served).id
    assert done.trained_tokens == 8 * STEPS
    assert done.finished_at >= done.created_at
    table = api.files.content(done.result_files[0]).read().decode().splitlines()
    assert table[0] == "step,train_loss,learning_rate,loss"
    assert table[2] == "2,0.5,0.0001,0.25"
    events = list(api.fine_tuning.jobs.list_events(job.id, limit=3))  # the client turns the pages
    assert "ended well" in events[0].message
    metrics = [event for event in events if event.type == "metrics"]
    assert {event.data["step"] for event in metrics} == {1, 2, 3, 4}
    assert len({event.id for event in events}) == len(events)
    [final] = list(api.fine_tuning.jobs.checkpoints.list(job.id))
    assert final.step_number == STEPS
    assert final.metrics.train_loss == 0.25
    assert [one.id for one in api.fine_tuning.jobs.list(metadata={"team": "hr"})] == [job.id]
    assert list(api.fine_tuning.jobs.list(metadata={"team": "it"})) == []


def test_a_failed_run_fails_its_job(api):
    job = api.fine_tuning.jobs.create(model="broken", training_file=upload(api, [chat(1)]).id)
    failed = until(api, job, "failed", "succeeded")
    assert failed.error.message == "the loss is not a number at step 2"
    assert failed.fine_tuned_model is None


def test_a_job_is_paused_resumed_and_cancelled(served, tmp_path):
    api, _ = served
    stored = upload(api, [chat(1)])
    slow = api.fine_tuning.jobs.create(model="slow", training_file=stored.id)
    behind = api.fine_tuning.jobs.create(model="slow", training_file=stored.id)
    until(api, slow, "running")
    assert api.fine_tuning.jobs.retrieve(behind.id).status == "queued"
    assert api.fine_tuning.jobs.cancel(behind.id).status == "cancelled"
    api.fine_tuning.jobs.pause(slow.id)
    until(api, slow, "paused")
    api.fine_tuning.jobs.resume(slow.id)
    until(api, slow, "running")
    api.fine_tuning.jobs.cancel(slow.id)
    assert until(api, slow, "cancelled", "succeeded").status == "cancelled"
    assert api.fine_tuning.jobs.cancel(slow.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="has ended"):
        api.fine_tuning.jobs.resume(slow.id)


def test_preferences_are_learnt_by_dpo_alone(api):
    pairs = upload(api, [preference(n) for n in range(3)])
    with pytest.raises(openai.BadRequestError, match="'supervised' learns from chat rows"):
        api.fine_tuning.jobs.create(model="base", training_file=pairs.id)


def test_our_own_kinds_come_by_an_extension(api):
    stored = upload(api, [retrieval(n) for n in range(3)])
    with pytest.raises(openai.BadRequestError, match="teach embedder or reranker"):
        api.fine_tuning.jobs.create(model="base", training_file=stored.id)
    with pytest.raises(openai.BadRequestError, match="'reader' does not learn from retrieval"):
        api.fine_tuning.jobs.create(
            model="base", training_file=stored.id, extra_body={"steelyard": {"kind": "reader"}}
        )
    job = api.fine_tuning.jobs.create(
        model="base", training_file=stored.id, extra_body={"steelyard": {"kind": "embedder"}}
    )
    assert job.steelyard["kind"] == "embedder"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"method": {"type": "reinforcement"}}, "'reinforcement' is none of"),
        ({"hyperparameters": {"n_epoch": 3}}, "n_epoch"),
        ({"hyperparameters": {"n_epochs": 0}}, "n_epochs"),
        ({"hyperparameters": {"beta": 0.1}}, "belongs to method 'dpo'"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "MLflow"),
        ({"validation_file": "file-unknown"}, "no file 'file-unknown'"),
        ({"validation_file": "file-../../../etc/passwd"}, "no file"),
        ({"extra_body": {"steelyard": {"kind": "poet"}}}, "'poet' is none of"),
        ({"extra_body": {"epochs": 3}}, "epochs"),
        ({"extra_body": {"steelyard": {"recipe": {"train": {"lrr": 1}}}}}, "lrr"),
        ({"extra_body": {"steelyard": {"recipe": {"max_tokens": 2}}}}, "max_tokens"),
    ],
)
def test_a_wrong_job_is_refused_in_words(api, more, told):
    stored = upload(api, [chat(1)])
    with pytest.raises((openai.BadRequestError, openai.NotFoundError), match=told):
        api.fine_tuning.jobs.create(model="base", training_file=stored.id, **more)
    assert list(api.fine_tuning.jobs.list()) == []


def test_runs_tell_their_curves_from_where_the_reader_was(served, tmp_path):
    api, client = served
    job = api.fine_tuning.jobs.create(model="slow", training_file=upload(api, [chat(1)]).id)
    until(api, job, "running")
    path = f"/v1/tune/runs/{job.steelyard['run']}"
    rows, after = [], 0
    while len(rows) < 3:  # two steps and an evaluation, then it waits
        found = client.get(f"{path}/metrics", params={"after": after})
        if found.status_code == 200:  # its folder is there
            rows, after = rows + found.json()["rows"], found.json()["next"]
    assert [row["step"] for row in rows] == [1, 2, 2]
    assert client.get(f"{path}/metrics", params={"after": after}).json()["rows"] == []
    [listed] = client.get("/v1/tune/runs").json()["runs"]
    assert (listed["state"], listed["step"], listed["job"]) == ("running", 2, job.id)
    (tmp_path / "go").touch()
    until(api, job, "succeeded")
    rest = client.get(f"{path}/metrics", params={"after": after}).json()
    assert [row["step"] for row in rest["rows"]] == [3, 4, 4]
    again = client.get(f"{path}/metrics", params={"after": 10**9}).json()
    assert again["again"] is True
    assert len(again["rows"]) == 6
    one = client.get(path).json()
    assert (one["state"], one["accounting"]["kept"]) == ("done", 800)
    refused = client.post(f"{path}/cancel")
    assert refused.status_code == 400
    assert "has ended" in refused.json()["error"]["message"]


def test_a_run_begun_by_hand_is_listed_and_asked_to_end(open_client):
    client = open_client()
    folder = client.app.state.live.app.home / RUNS / "by-hand"
    folder.mkdir(parents=True)
    state = {"state": "running", "kind": "reranker", "step": 3, "num_steps": 9, "started_at": 1.0}
    (folder / "state.json").write_text(json.dumps(state))
    [listed] = client.get("/v1/tune/runs").json()["runs"]
    assert (listed["id"], listed["job"], listed["kind"]) == ("by-hand", None, "reranker")
    assert client.post("/v1/tune/runs/by-hand/cancel").status_code == 200
    assert (folder / "cancel").is_file()
    for unknown in ("nobody", "..%2F..%2Fdatasets", "a%00b"):
        assert client.get(f"/v1/tune/runs/{unknown}").status_code == 404


def test_training_is_for_operators_alone(open_client):
    secrets = {}

    def prepare(app):
        app.store.add_key("boss", operator=True, groups=("public",))
        secrets["staff"] = app.store.add_key("staff", ("public",))

    client = open_client(prepare=prepare)
    headers = {"Authorization": f"Bearer {secrets['staff']}"}
    for method, path in (
        ("GET", "/v1/files"), ("POST", "/v1/files"), ("GET", "/v1/files/file-1"),
        ("DELETE", "/v1/files/file-1"), ("GET", "/v1/files/file-1/content"),
        ("GET", "/v1/fine_tuning/jobs"), ("POST", "/v1/fine_tuning/jobs"),
        ("GET", "/v1/fine_tuning/jobs/x"), ("POST", "/v1/fine_tuning/jobs/x/cancel"),
        ("POST", "/v1/fine_tuning/jobs/x/pause"), ("POST", "/v1/fine_tuning/jobs/x/resume"),
        ("GET", "/v1/fine_tuning/jobs/x/events"), ("GET", "/v1/fine_tuning/jobs/x/checkpoints"),
        ("GET", "/v1/tune/runs"), ("GET", "/v1/tune/runs/x"), ("GET", "/v1/tune/runs/x/metrics"),
        ("POST", "/v1/tune/runs/x/cancel"),
    ):  # fmt: skip
        assert client.request(method, path, headers=headers).status_code == 403, path
        assert client.request(method, path).status_code == 401, path
