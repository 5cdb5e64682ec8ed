"""The client of OpenAI-shaped hosts: against our own server's endpoints, and against a rude one."""

import asyncio
import json

import httpx2
import pytest

from steelyard.app import open_app
from steelyard.core.errors import InputError, NotFound, SetupError, UpstreamError
from steelyard.core.training import Chat, Labelled, Preference, TrainingRow, Turn
from steelyard.datasets.training import keep
from steelyard.flows import hosted
from steelyard.flows.hosted import Order
from steelyard.hosted import HostedClient, find_submitted, submitted


def chat(n):
    turns = (Turn("user", f"Where is form {n}?"), Turn("assistant", f"In drawer {n}."))
    return TrainingRow(Chat(turns))


def preference(n):
    asked = (Turn("user", f"Where is form {n}?"),)
    better, worse = (Turn("assistant", f"In drawer {n}."),), (Turn("assistant", "No idea."),)
    return TrainingRow(Preference(asked, better, worse))


@pytest.fixture
def home(tmp_path):
    """A home that keeps `forms`, in two splits, and `tastes`."""
    home = tmp_path / "asker"
    rows = [chat(n) for n in range(6)]
    from steelyard.datasets.training import sha256_of

    splits = {sha256_of(row): "train" if n < 4 else "validation" for n, row in enumerate(rows)}
    keep(home, rows, name="forms", recipe={"verb": "import"}, splits=splits)
    keep(home, [preference(n) for n in range(3)], name="tastes", recipe={"verb": "import"})
    keep(home, [TrainingRow(Labelled("hello", "greeting"))], name="intents", recipe={})
    return home


def base_url(official):
    return str(official.base_url).rstrip("/")


def test_a_version_is_sent_followed_and_registered(served, home):
    api, _ = served
    said = []

    async def whole():
        async with HostedClient(base_url(api), key="") as client:
            order = Order("forms", "base", hyperparameters={"n_epochs": 2}, seed=3, suffix="forms")
            job = await hosted.submit(home, client, order)
            return await hosted.follow(
                home, client, job, told=lambda job, message: said.append(message), every_s=0.02
            )

    job = asyncio.run(whole())
    assert job.status == "succeeded"
    assert job.dataset.endswith("@train")
    assert find_submitted(home) == job
    assert any("ended well" in line for line in said)
    assert len(said) == len(set(said))
    sent = api.fine_tuning.jobs.retrieve(job.id)
    assert sent.method.supervised.hyperparameters.n_epochs == 2
    files = {one.id: one for one in api.files.list(purpose="fine-tune")}
    assert len(api.files.content(sent.training_file).read().splitlines()) == 4
    assert len(api.files.content(sent.validation_file).read().splitlines()) == 2
    assert files[sent.training_file].filename == "forms-train.jsonl"
    app = open_app(home, flags={"embed.model": "hashing"})
    try:
        version = hosted.take_over(home, app.registry, job, name="", who="owner")
        assert version.options == {"llm.url": job.url, "llm.model": job.fine_tuned_model}
        assert app.registry.find(version.id).id == version.id
    finally:
        app.close()
    assert find_submitted(home, job.id).version == version.id


def test_polling_goes_on_where_it_was_stopped(served, home, tmp_path):
    api, _ = served
    said = []

    def told(job, message):
        said.append(message)

    async def begin():
        async with HostedClient(base_url(api), key="") as client:
            job = await hosted.submit(home, client, Order("forms@train", "slow"))
            while not said:
                job = await hosted.look(home, client, job, told=told)

    async def again():
        async with HostedClient(base_url(api), key="") as client:
            job = find_submitted(home)
            return await hosted.follow(home, client, job, told=told, every_s=0.02)

    asyncio.run(begin())
    (tmp_path / "go").touch()
    job = asyncio.run(again())
    assert job.status == "succeeded"
    assert len(said) == len(set(said))


def test_a_failed_job_keeps_the_hosts_reason_and_is_no_version(served, home):
    api, _ = served

    async def whole():
        async with HostedClient(base_url(api), key="") as client:
            job = await hosted.submit(home, client, Order("forms", "broken"))
            return await hosted.follow(
                home, client, job, told=lambda job, message: None, every_s=0.02
            )

    job = asyncio.run(whole())
    assert (job.status, job.error) == ("failed", "the loss is not a number at step 2")
    app = open_app(home, flags={"embed.model": "hashing"})
    try:
        with pytest.raises(InputError, match="is failed: the loss is not a number"):
            hosted.take_over(home, app.registry, job, name="", who="owner")
    finally:
        app.close()


class Rude:
    """A host that answers what it is told to, request by request; the last answer stays."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.waited = []

    def client(self, key="sesame"):
        made = HostedClient("https://host.test/v1", key=key, sleep=self._sleep)
        made._client = httpx2.AsyncClient(
            transport=httpx2.MockTransport(self._answer), headers=made._client.headers
        )
        return made

    async def _sleep(self, seconds):
        self.waited.append(seconds)

    async def _answer(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status, body=None, **headers):
    return httpx2.Response(status, json=body or {}, headers=headers)


def ask(rude, call):
    async def whole():
        async with rude.client() as client:
            return await call(client)

    return asyncio.run(whole())


def test_a_busy_host_is_asked_again_when_it_says():
    rude = Rude(
        answer(429, **{"Retry-After": "7"}), answer(503), httpx2.ReadTimeout("slow"),
        answer(200, {"id": "ftjob-1", "status": "running"}),
    )  # fmt: skip
    found = ask(rude, lambda client: client.job("ftjob-1"))
    assert found["status"] == "running"
    assert rude.waited == [7.0, 2.0, 4.0]
    assert {one.headers["authorization"] for one in rude.requests} == {"Bearer sesame"}


def test_a_host_that_asks_for_an_hour_is_asked_again_sooner():
    rude = Rude(answer(429, **{"Retry-After": "3600"}), answer(200, {"id": "x"}))
    ask(rude, lambda client: client.job("x"))
    assert rude.waited == [120.0]


def test_a_job_that_may_have_been_made_is_not_asked_for_twice():
    rude = Rude(httpx2.ReadTimeout("slow"))
    with pytest.raises(UpstreamError, match="did not answer in time"):
        ask(rude, lambda client: client.create({"model": "m"}))
    assert len(rude.requests) == 1
    taken = Rude(answer(429), answer(200, {"id": "ftjob-1"}))
    assert ask(taken, lambda client: client.create({"model": "m"}))["id"] == "ftjob-1"
    keys = {one.headers["idempotency-key"] for one in taken.requests}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("status", "told"), [(401, "refuses the key"), (404, "404"), (400, "no such model 'm'")]
)
def test_a_refusal_is_told_once_and_in_words(status, told):
    rude = Rude(answer(status, {"error": {"message": "no such model 'm'"}}))
    with pytest.raises(UpstreamError, match=told):
        ask(rude, lambda client: client.create({"model": "m"}))
    assert len(rude.requests) == 1


def test_a_host_that_stays_down_is_given_up_after_six_tries():
    rude = Rude(answer(502))
    with pytest.raises(UpstreamError, match="502"):
        ask(rude, lambda client: client.job("x"))
    assert len(rude.requests) == 6
    assert rude.waited == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_what_is_no_json_is_no_answer():
    rude = Rude(httpx2.Response(200, text="<html>hello</html>"))
    with pytest.raises(UpstreamError, match="no JSON object"):
        ask(rude, lambda client: client.job("x"))


def test_faults_that_a_host_finds_later_end_the_sending(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": []}))
    rude = Rude(
        answer(200, {"id": "file-1", "status": "uploaded"}),
        answer(200, {"id": "file-1", "status": "error", "status_details": "line 1: no messages"}),
    )
    with pytest.raises(InputError, match="line 1: no messages"):
        ask(rude, lambda client: client.upload(path))


def test_a_host_elsewhere_needs_a_key():
    with pytest.raises(SetupError, match="export STEELYARD_HOSTED_KEY"):
        HostedClient("https://host.test/v1", key="")


@pytest.mark.parametrize(
    ("order", "error", "told"),
    [
        (Order("nothing", "m"), NotFound, "no version 'nothing'"),
        (Order("forms@test", "m"), InputError, "no split 'test'; it has"),
        (Order("intents", "m"), InputError, "labelled rows"),
    ],
)
def test_what_cannot_be_sent_is_told_before_anything_is(home, order, error, told):
    rude = Rude(answer(200, {"id": "x"}))

    async def whole():
        async with rude.client() as client:
            await hosted.submit(home, client, order)

    with pytest.raises(error, match=told):
        asyncio.run(whole())
    assert rude.requests == []
    assert submitted(home) == []


def test_preferences_go_as_dpo_in_openais_form(home):
    rude = Rude(
        answer(200, {"id": "file-1", "status": "processed"}), answer(200, {"id": "ftjob-1"})
    )

    async def whole():
        async with rude.client() as client:
            order = Order("tastes", "m", hyperparameters={"beta": 0.1})
            return await hosted.submit(home, client, order)

    asyncio.run(whole())
    row = next(line for line in rude.requests[0].content.splitlines() if line.startswith(b"{"))
    assert set(json.loads(row)) == {"input", "preferred_output", "non_preferred_output"}
    body = json.loads(rude.requests[1].content)
    assert body["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}
    assert find_submitted(home, "ftjob").id == "ftjob-1"
