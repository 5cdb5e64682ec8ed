"""A live comparison as it is served: who sees what, what is logged, what is refused at start."""

from collections.abc import Callable
from pathlib import Path

import pytest
from asking import LEAVE, NOTICE, QUESTION, ask, put
from starlette.testclient import TestClient

from steelyard.app import App, open_app
from steelyard.core.errors import SetupError
from steelyard.flows.sides import CHALLENGER, CHAMPION, assigned
from steelyard.server import build
from steelyard.store import Experiment, LoggedAnswer, Store

WIDE = '[wide]\nbase = "rag"\nretrieve.legs = "lexical"\n'
Open = Callable[..., TestClient]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wide.toml"
    path.write_text(WIDE, encoding="utf-8")
    return path


@pytest.fixture
def split(open_client: Open, file: Path) -> TestClient:
    client = open_client(serve__challenger=str(file), serve__challenger_share=0.5)
    put(client)
    put(client, "notice", NOTICE)
    return client


def app_of(client: TestClient) -> App:
    return client.app.state.live.app


def user_on(side: str, *, name: str = "", number: int = 0) -> str:
    """Return one of the names that are on a side, asked for without an API key."""
    names = (f"{name}u{n}" for n in range(1_000))
    on = [n for n in names if assigned(f"public\0{n}", experiment="wide", share=0.5) == side]
    return on[number]


def query(client: TestClient, user: str = "", question: str = QUESTION, **headers: str) -> dict:
    body = {"query": question} | ({"user": user} if user else {})
    response = client.post("/v1/query", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def logged(client: TestClient) -> list[LoggedAnswer]:
    """Return the whole log, newest first, once all that is being written is there."""
    app = app_of(client)
    for one in [app.workers.query.submit(int) for _ in range(64)]:
        one.result()
    return app.store.recent_answers(failed=True)


def experiment(client: TestClient) -> Experiment:
    return app_of(client).store.experiments()[0]


def test_each_user_is_answered_by_the_side_of_theirs(split):
    running = experiment(split)
    assert (running.name, running.share) == ("wide", 0.5)
    assert running.options == {"retrieve.legs": "lexical"}
    on_champion, on_challenger = query(split, user_on(CHAMPION)), query(split, user_on(CHALLENGER))
    assert on_champion["bundle"] == running.champion == app_of(split).bundle
    assert on_challenger["bundle"] == running.challenger != running.champion
    assert "dense" not in on_challenger["usage"]["timings_ms"]
    newest, before = logged(split)
    assert (newest.arm, newest.experiment, newest.bundle) == (
        CHALLENGER, running.key, running.challenger,
    )  # fmt: skip
    assert (before.arm, before.experiment) == (CHAMPION, running.key)
    assert newest.user != before.user
    assert user_on(CHALLENGER) not in newest.user


def test_nothing_of_one_sides_cache_is_served_to_the_other(split):
    first = query(split, user_on(CHALLENGER))
    assert query(split, user_on(CHALLENGER, number=1))["cache"] == "exact"  # of their own side
    other = query(split, user_on(CHAMPION))
    assert (first["cache"], other["cache"]) == ("miss", "miss")
    similar = query(split, user_on(CHAMPION, number=1), "How many days of paid leave do staff get?")
    assert similar["bundle"] == app_of(split).bundle
    live = split.app.state.live
    assert live.challenger.bundle.cached.cache is app_of(split).cached.cache  # one memory bound


@pytest.mark.parametrize("stream", [False, True])
def test_openais_user_field_and_our_header_name_users_too(split, stream):
    user = user_on(CHALLENGER)
    turns = [{"role": "user", "content": QUESTION}]
    body = {"messages": turns, "user": user, "stream": stream}
    assert split.post("/v1/chat/completions", json=body).status_code == 200
    query(split, **{"X-User-Id": user})
    kept = logged(split)
    assert [one.arm for one in kept] == [CHALLENGER, CHALLENGER]
    assert kept[0].user == kept[1].user


def test_a_streamed_answer_is_the_sides_too(split):
    body = {"query": QUESTION, "user": user_on(CHALLENGER), "stream": True}
    with split.stream("POST", "/v1/query", json=body) as response:
        text = "".join(response.iter_text())
    assert f'"bundle":"{experiment(split).challenger}"' in text.replace('": "', '":"')
    assert logged(split)[0].arm == CHALLENGER


def test_nobody_in_particular_and_the_edge_get_the_champion(split):
    assert query(split)["bundle"] == app_of(split).bundle
    response = ask(split, headers={"X-User-Id": user_on(CHALLENGER)})
    assert response.json()["bundle"] == app_of(split).bundle
    assert [(one.arm, one.experiment, one.user) for one in logged(split)] == [("", 0, "")] * 2


def test_an_api_key_is_one_user_and_keys_share_no_users(open_client, file):
    secrets: dict[str, str] = {}

    def with_keys(app: App) -> None:
        for name in ("ann", "bob"):
            secrets[name] = app.store.add_key(name, ("public",), operator=True)

    client = open_client(prepare=with_keys, serve__challenger=str(file))
    put(client, headers={"Authorization": f"Bearer {secrets['ann']}"})
    for name, user in (("ann", ""), ("bob", ""), ("ann", "x"), ("bob", "x"), ("ann", "")):
        query(client, user, Authorization=f"Bearer {secrets[name]}")
    users = [one.user for one in logged(client)]
    assert users[0] == users[4]
    assert len(set(users)) == 4
    assert "" not in users
    assert all(one.arm for one in logged(client))


def test_a_rating_counts_for_the_side_that_answered(split):
    given = query(split, user_on(CHALLENGER))
    logged(split)
    rating = {"answer_id": given["id"], "rating": "down"}
    assert split.post("/v1/feedback", json=rating).status_code == 200
    (exposure,) = app_of(split).store.exposures(experiment(split).key)
    assert (exposure.challenger, exposure.rating) == (True, "down")


def test_a_challenger_whose_model_is_gone_is_stood_in_for_and_charged(open_client, tmp_path):
    file = tmp_path / "llm.toml"
    lines = '[wide]\nbase = "rag"\nllm.url = "http://127.0.0.1:9"\nllm.model = "gone"\n'
    file.write_text(lines, encoding="utf-8")
    client = open_client(serve__challenger=str(file), serve__challenger_share=0.5)
    put(client)
    given = query(client, user_on(CHALLENGER))
    assert given["bundle"] == app_of(client).bundle
    assert "31 days" in given["answer"]
    assert given["degraded"] == []
    assert logged(client)[0].error == "upstream"
    (exposure,) = app_of(client).store.exposures(experiment(client).key)
    assert (exposure.challenger, exposure.failed) == (True, True)
    body = {"query": QUESTION, "user": user_on(CHALLENGER), "stream": True}
    with client.stream("POST", "/v1/query", json=body) as response:
        text = "".join(response.iter_text())
    assert text.count("event: sources") == 1
    assert text.count("event: done") == 1
    lines = client.get("/metrics").text.splitlines()
    assert 'steelyard_side_answers_total{outcome="error",side="challenger"} 2.0' in lines


def test_the_sides_are_counted_apart(split):
    query(split, user_on(CHALLENGER))
    query(split, user_on(CHAMPION))
    query(split)
    lines = split.get("/metrics").text.splitlines()
    for side in (CHALLENGER, CHAMPION):
        assert f'steelyard_side_answers_total{{outcome="answered",side="{side}"}} 1.0' in lines


def test_a_user_stays_on_one_side_over_a_restart_and_without_a_challenger_all_is_as_before(
    open_client, file
):
    first = open_client(serve__challenger=str(file), serve__challenger_share=0.5)
    again = open_client(serve__challenger=str(file), serve__challenger_share=0.5)
    for user in (user_on(CHALLENGER), user_on(CHAMPION)):
        assert query(first, user)["bundle"] == query(again, user)["bundle"]
    without = open_client()
    assert query(without, user_on(CHALLENGER))["bundle"] == experiment(first).champion
    assert logged(without)[0].arm == ""
    assert app_of(without).store.experiments() == []


REFUSED = {
    '[a]\nbase = "rag"\nchunk.max_tokens = 64\n': "needs an index of its own",
    '[a]\nbase = "rag"\nk = 20\n': "changes k",
    '[a]\nbase = "rag"\ncache.mode = "off"\n': "share one cache",
    '[a]\nbase = "rag"\nserve.port = 1\n': "the server's",
    '[a]\nbase = "rag"\nhome = "other"\n': "a home of its own",
    '[a]\nbase = "oracle"\n': "base it on rag",
    '[a]\nbase = "hybrid"\n': "base it on rag",
    '[a]\nbase = "rag"\n[b]\nbase = "rag"\n': "2 arms (a, b)",
    '[a]\nbase = "rag"\nretrieve.pol = 3\n': "did you mean 'retrieve.pool'",
    '[a]\nbase = "rag"\nretrieve.pool = "many"\n': "retrieve.pool = 'many'",
    "[a]\nretrieve.pool = 3\n": "needs base",
    "[a\n": "cannot be read",
    "": "names no arm",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_file_that_no_challenger_can_be_made_of_is_refused_with_the_reason(
    open_client, tmp_path, text
):
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError) as caught:
        open_client(serve__challenger=str(file))
    assert REFUSED[text] in str(caught.value)
    assert "serve.challenger" in str(caught.value)
    assert "\n" not in str(caught.value) or "settings are wrong" in str(caught.value)


def test_a_challenger_that_is_the_champion_is_refused(open_client, tmp_path):
    file = tmp_path / "same.toml"
    file.write_text('[same]\nbase = "rag"\n', encoding="utf-8")
    with pytest.raises(SetupError, match="answers exactly as the champion does"):
        open_client(serve__challenger=str(file))


def test_a_file_that_is_not_there_is_named(open_client, tmp_path):
    with pytest.raises(SetupError, match=r"nowhere\.toml cannot be read"):
        open_client(serve__challenger=str(tmp_path / "nowhere.toml"))


@pytest.mark.parametrize("share", [-0.1, 0.51, float("nan"), "half"])
def test_a_share_beyond_half_is_a_promotion(open_client, share):
    with pytest.raises(SetupError, match="challenger_share"):
        open_client(serve__challenger_share=share)


def test_the_text_of_the_document_is_what_both_sides_quote(split):
    assert "31 days" in LEAVE
    for side in (CHAMPION, CHALLENGER):
        assert "31 days" in query(split, user_on(side))["answer"]


def test_operators_see_how_the_comparison_stands(split):
    for number in range(3):
        query(split, user_on(CHALLENGER, number=number))
        query(split, user_on(CHAMPION, number=number))
    logged(split)
    told = split.get("/v1/ab").json()
    assert (told["experiment"], told["share"], told["running"]) == ("wide", 0.5, True)
    assert [side["users"] for side in told["sides"]] == [3, 3]
    assert [side["bundle"] for side in told["sides"]] == [
        experiment(split).champion, experiment(split).challenger,
    ]  # fmt: skip
    assert {one["verdict"] for one in told["differences"]} == {"underpowered"}
    assert told["promote"] == '[retrieve]\nlegs = "lexical"'
    assert split.get("/v1/ab", params={"name": "other"}).status_code == 404


def test_without_a_comparison_operators_are_told_how_to_begin_one(client):
    told = client.get("/v1/ab").json()
    assert told["experiment"] is None
    assert "serve.challenger" in told["reason"]


def test_who_is_no_operator_sees_nothing_of_it(open_client, file):
    secrets: list[str] = []

    def with_key(app: App) -> None:
        secrets.append(app.store.add_key("reader", ("public",)))

    client = open_client(prepare=with_key, serve__challenger=str(file))
    assert client.get("/v1/ab").status_code == 401
    headers = {"Authorization": f"Bearer {secrets[0]}"}
    assert client.get("/v1/ab", headers=headers).status_code == 403


def test_a_rating_may_overtake_the_log(client, monkeypatch):
    """An answer is given before it is written down; a quick client rates it in between."""
    put(client)
    store = app_of(client).store
    held: list[tuple[tuple, dict]] = []
    write = store.log_answer
    monkeypatch.setattr(store, "log_answer", lambda *a, **k: held.append((a, k)))
    given = query(client)
    rate, tries = store.add_feedback, []

    def late(*args: object, **options: object) -> None:
        tries.append(args)
        if len(tries) == 2:
            ((a, k),) = held
            write(*a, **k)
        rate(*args, **options)

    monkeypatch.setattr(store, "add_feedback", late)
    rating = {"answer_id": given["id"], "rating": "up"}
    assert client.post("/v1/feedback", json=rating).status_code == 200
    assert len(tries) == 2
    assert store.recent_answers()[0].rating == "up"


def test_a_comparison_ends_when_its_setting_goes_and_goes_on_when_it_comes_back(tmp_path, file):
    """One home, served three times: with a challenger, without, and with it again."""
    flags = {"embed.model": "hashing"}
    split = flags | {"serve.challenger": str(file), "serve.challenger_share": 0.5}
    seen = []
    for options in (split, flags, split):
        app = open_app(tmp_path / "one", flags=options)
        with TestClient(build(app), base_url="http://127.0.0.1:8080") as client:
            if not seen:
                put(client)
            seen.append(query(client, user_on(CHALLENGER)))
            known = app.store.experiments()
        app.close()
    (one,) = known
    assert [given["bundle"] for given in seen] == [one.challenger, one.champion, one.challenger]
    store = Store.open(tmp_path / "one" / "steelyard.db")
    lines = store.recent_answers()  # a server that ends has written them all
    assert [line.experiment for line in lines] == [one.key, 0, one.key]
    assert len({line.user for line in lines}) == 1
    assert len(store.exposures(one.key)) == 2
    store.close()
