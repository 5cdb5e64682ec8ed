"""From a trained folder to what a home serves, and everything that must be refused on the way."""

import asyncio
import json
import logging
import shutil
from dataclasses import replace

import pytest

from steelyard.app import open_app
from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.ranking import RerankPassage
from steelyard.core.tuning import BaseModel, Binding, TuneKind
from steelyard.flows.registry import Draft, champions_of, read_champions
from steelyard.infra.binding import base_model
from steelyard.registry import artefact_folder, artefact_ids, usual_options
from steelyard.settings import load_settings

HASHING = {"embed.model": "hashing"}


def register(registry, folder, **told):
    return registry.register(Draft("ours", folder, **told), who="ann").version


def test_a_trained_folder_becomes_a_version_with_the_options_that_serve_it(
    registry, make_adapter, base
):
    folder = make_adapter()
    version = register(registry, folder)
    assert version.options == {
        "rerank.model": str(base),
        "rerank.adapter": "{artefact}",
        "rerank.max_tokens": 48,
    }
    assert (version.kind, version.binding.run, version.licence) == ("reranker", "run-1", "MIT")
    again = registry.register(Draft("later", folder), who="bob")
    assert (again.known, again.version) == (True, version)
    other = register(registry, make_adapter("other", seed=2))
    assert other.id != version.id
    assert registry.check(version) == ()
    assert registry.orphans() == []
    served = registry.champions_with(version).options
    assert served["rerank.adapter"] == str(artefact_folder(registry.home, version.artefact))


def test_a_language_models_adapter_is_served_on_the_homes_own_model():
    base = BaseModel("tiny", "w", "t")
    adapter = Binding(TuneKind.LLM, base, "lora", 512)
    assert usual_options(adapter) == {"llm.adapter": "{artefact}"}
    assert usual_options(replace(adapter, method="full")) == {"llm.local": "{artefact}"}


def test_options_that_an_artefact_brings_and_that_name_its_own_folder_are_kept_without_it(
    registry, make_adapter, base
):
    folder = make_adapter(options={"rerank.model": str(base), "rerank.pool": 10})
    version = register(registry, folder, options={"rerank.adapter": str(folder)})
    assert version.options["rerank.adapter"] == "{artefact}"
    assert version.options["rerank.pool"] == 10


def test_a_foreign_adapter_must_be_told_what_it_is(registry, make_adapter, base):
    folder = make_adapter()
    (folder / "steelyard.json").unlink()
    with pytest.raises(InputError, match=r"--kind .*--base"):
        register(registry, folder)
    version = register(registry, folder, kind="reranker", base=str(base))
    assert version.binding.method == "unknown"
    assert not (folder / "steelyard.json").exists()  # only the copy says it
    assert registry.check(version) == ()


def test_a_base_that_is_known_by_name_alone_is_found_where_it_is_said_to_be(
    registry, make_adapter, base
):
    folder = make_adapter(base=base_model(base, name="its-name"))
    nowhere = register(registry, folder)
    with pytest.raises(SetupError, match="base cannot be read: model 'its-name'"):
        registry.check(nowhere)
    version = register(registry, folder, base=str(base))
    assert version.options["rerank.model"] == str(base)
    assert registry.check(version) == ()


# FIELD 9: the chat template that a model was trained with is part of what it is bound to.
def test_a_base_whose_chat_template_has_changed_is_told(registry, make_adapter, base):
    (base / "chat_template.jinja").write_text("{{ messages }}")
    version = register(registry, make_adapter())
    assert registry.check(version) == ()
    (base / "chat_template.jinja").write_text("{{ messages }} ")
    with pytest.raises(SetupError, match="other chat template"):
        registry.check(version)


def test_the_base_of_a_language_model_is_compared_where_it_is_here(registry, make_adapter, base):
    folder = make_adapter(kind=TuneKind.LLM, base=base_model(base, name="far/away"))
    version = register(
        registry, folder, options={"llm.url": "http://127.0.0.1:9", "llm.model": "x"}
    )
    assert version.kind == "llm"
    (note,) = registry.check(version)
    assert "'far/away' is not here" in note


def test_options_alone_are_a_version_too(registry):
    version = registry.register(Draft("wide", options={"retrieve.pool": 100}), who="a").version
    assert (version.kind, version.artefact) == ("options", "")


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        (Draft(" ", options={"retrieve.pool": 1}), "needs a name"),
        (Draft("x"), "nothing to register"),
        (Draft("x", options={"retrieve.pol": 1}), "unknown option 'retrieve.pol'; did you mean"),
        (Draft("x", options={"retrieve.pool": "many"}), "a whole number is needed"),
        (Draft("x", options={"serve.port": 1, "chunk.max_tokens": 9}), r"serve.port.*chunk.max"),
        (Draft("x", options={"rerank.adapter": "{artefact}"}), "there is none"),
    ],
)
def test_what_cannot_be_a_version_is_said(registry, draft, message):
    with pytest.raises(InputError, match=message):
        registry.register(draft, who="ann")
    assert registry.store.versions() == []


def test_a_folder_of_another_kind_is_refused(registry, make_adapter):
    with pytest.raises(InputError, match="holds a reranker, not a embedder"):
        register(registry, make_adapter(), kind="embedder")


def test_versions_are_found_by_id_name_and_alias(registry, make_adapter):
    first = register(registry, make_adapter())
    second = register(registry, make_adapter("two", seed=2))
    registry.store.promote_version(first.id, who="ann")
    assert registry.find(first.id) == registry.find(first.id[:9]) == first
    assert registry.find("ours") == second  # the newest of that name
    assert registry.find("champion") == registry.find("reranker:champion") == first
    with pytest.raises(NotFound, match="no version is previous"):
        registry.find("previous")
    with pytest.raises(NotFound, match=r"no version 'theirs'.*ours \(v"):
        registry.find("theirs")
    wide = registry.register(Draft("wide", options={"retrieve.pool": 9}), who="a").version
    registry.store.promote_version(wide.id, who="ann")
    with pytest.raises(InputError, match="options:champion or reranker:champion"):
        registry.find("champion")


# FIELD 17: an adapter says which base it fits by content, and is refused on any other.
def test_an_adapter_on_another_base_is_refused_before_it_is_loaded(registry, make_adapter, base):
    version = register(registry, make_adapter())
    weights = bytearray((base / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (base / "model.safetensors").write_bytes(weights)
    with pytest.raises(SetupError, match=r"does not fit .*other weights"):
        registry.check(version)
    (verified,) = registry.verify()
    assert "other weights" in verified.faults[0]
    registry.store.promote_version(version.id, who="ann", forced=True)
    app = open_app(registry.home, flags=HASHING)
    try:
        with pytest.raises(SetupError, match="use the base that it was trained on"):
            _ = app.champion.reranker
    finally:
        app.close()


def test_a_changed_byte_is_refused_on_promotion_verify_and_load(registry, make_adapter):
    version = register(registry, make_adapter())
    registry.store.promote_version(version.id, who="ann")
    path = artefact_folder(registry.home, version.artefact) / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"adapter_model\.safetensors was changed"):
        registry.check(version)
    (verified,) = registry.verify()
    assert verified.faults == ("adapter_model.safetensors was changed",)
    app = open_app(registry.home, flags=HASHING)
    try:
        with pytest.raises(SetupError, match=r"adapter_model\.safetensors was changed"):
            _ = app.champion.reranker
    finally:
        app.close()


def test_a_rollback_to_a_damaged_version_is_refused(registry, make_adapter):
    first = register(registry, make_adapter())
    second = register(registry, make_adapter("two", seed=2))
    for version in (first, second):
        registry.store.promote_version(version.id, who="ann")
    shutil.rmtree(artefact_folder(registry.home, first.artefact))
    with pytest.raises(SetupError, match="is damaged"):
        registry.roll_back(who="ann")
    assert registry.find("champion") == second


def test_what_an_interrupted_registration_left_is_told_and_used_by_the_next(
    registry, make_adapter, monkeypatch
):
    folder = make_adapter()

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry.store, "register_version", dies)
        with pytest.raises(KeyboardInterrupt):
            register(registry, folder)
    assert registry.orphans() == artefact_ids(registry.home)
    assert registry.store.versions() == []
    register(registry, folder)
    assert registry.orphans() == []


def test_an_app_serves_what_is_champion_and_after_a_rollback_what_was(registry, make_adapter, base):
    version = register(registry, make_adapter())
    registry.store.promote_version(version.id, who="ann")

    async def score(reranker):
        passages = [RerankPassage(1, "reset the password in the settings")]
        return await reranker.scores("how do I reset it", passages, budget_s=10)

    def served(**flags):
        app = open_app(registry.home, flags=HASHING | flags)
        try:
            reranker = app.champion.reranker
            if reranker is None:
                return app.bundle, None
            found = asyncio.run(score(reranker))
            reranker.close()
            return app.bundle, found
        finally:
            app.close()

    promoted = served()
    plain = served(**{"rerank.model": str(base), "rerank.adapter": ""})
    assert promoted[1] != plain[1]  # the adapter acts
    registry.roll_back(who="ann")
    assert served()[1] is None
    registry.roll_back(who="ann")
    assert served() == promoted


def test_settings_say_what_is_from_the_registry_and_what_disagrees(registry, make_adapter, caplog):
    version = register(registry, make_adapter())
    registry.store.promote_version(version.id, who="ann")
    home = registry.home
    (home / "settings.toml").write_text('[rerank]\nmodel = "mine"\npool = 7\n')
    loaded = load_settings(home, environment={})
    rows = {key: (value, origin) for key, value, origin in loaded.rows()}
    assert rows["rerank.model"] == (version.options["rerank.model"], f"registry {version.id}")
    assert rows["rerank.pool"] == (7, str(home / "settings.toml"))
    (note,) = loaded.notes
    assert note.startswith("rerank.model = 'mine' of ")
    assert "gives way to" in note
    loaded = load_settings(home, environment={"STEELYARD_RERANK_MODEL": "other"}, flags=HASHING)
    assert loaded.settings.rerank.model == "other"
    assert "what was promoted is not what serves" in loaded.notes[-1]
    with caplog.at_level(logging.WARNING):
        open_app(home, flags=HASHING).close()
    assert "settings_disagree rerank.model = 'mine'" in caplog.text


def test_a_home_that_is_not_there_or_older_has_no_champions_and_is_not_made(tmp_path, registry):
    assert read_champions(tmp_path / "nowhere").options == {}
    assert not (tmp_path / "nowhere").exists()
    wide = registry.register(Draft("wide", options={"retrieve.pool": 9}), who="a").version
    registry.store.promote_version(wide.id, who="a")
    assert read_champions(registry.home) == champions_of(registry.home, registry.store)
    assert json.loads(json.dumps(dict(read_champions(registry.home).options))) == wide.options
