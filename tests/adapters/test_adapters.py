"""Adapters handed to a server that is as faulty as real ones were."""

import asyncio
import json
import re
from dataclasses import replace

import pytest
from tests.adapters.conftest import make_adapter
from tests.adapters.contract_server import BASE, ContractServer, Faults, running
from tests.tiny_llm import make_tiny_llm

from steelyard.adapters import (
    Limits,
    deployed_name,
    open_server,
    read_adapter,
    read_probes,
    static_faults,
    write_probes,
)
from steelyard.adapters.probes import Probe, compare, distance
from steelyard.adapters.probing import make_probes
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.flows.deploy import deploy


def handed_over(server, made, *, name="support-0123456789ab", kind="", adapter=None, max_rank=16):
    _, known, probes = made

    async def run():
        client = open_server(
            kind or ("sglang" if server.sglang else "vllm"), server.url, max_rank=max_rank
        )
        try:
            return await deploy(read_adapter(adapter or known), probes, client, name=name)
        finally:
            await client.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize("sglang", [False, True])
def test_an_adapter_is_loaded_proved_and_named(made, sglang):
    with running(ContractServer(made[0], sglang=sglang)) as server:
        done = handed_over(server, made)
        assert done.model == (f"{BASE}:{done.name}" if sglang else done.name)
        assert done.to_tuned < 0.01 < 1 < done.to_base
        assert list(server.adapters) == [done.name]
        again = handed_over(server, made)
        assert again.was_there
        assert server.loads == [done.name]


# FIELD 15: a rank above the limit takes a load, or the whole engine, down.
def test_a_rank_above_the_limit_is_refused_before_the_server_is_asked(made, tmp_path):
    wide = make_adapter(made[0], tmp_path, rank=32)
    with running(ContractServer(made[0])) as server:
        with pytest.raises(SetupError, match=r"rank 32 is above the limit 16.*--max-lora-rank 32"):
            handed_over(server, made, adapter=wide)
        assert server.loads == []


def test_a_limit_lower_than_was_said_is_told_in_the_servers_words(made):
    with running(ContractServer(made[0], max_rank=2)) as server:
        with pytest.raises(UpstreamError, match=r"rank 4 is greater than max_lora_rank 2"):
            handed_over(server, made)
        assert server.adapters == {}


# FIELD 13: an adapter that is loaded and does nothing.
@pytest.mark.parametrize("sglang", [False, True])
def test_a_silent_no_op_is_refused_and_unloaded(made, sglang):
    with running(ContractServer(made[0], sglang=sglang, faults=Faults(no_op=True))) as server:
        with pytest.raises(SetupError, match="loaded and does nothing") as told:
            handed_over(server, made)
        assert told.value.code == "adapter_no_op"
        assert server.loads
        assert server.adapters == {}


# FIELD 14: a server that keeps what it once loaded under a name.
def test_a_stale_adapter_under_the_same_name_is_refused(made, tmp_path):
    older = make_adapter(made[0], tmp_path / "older", seed=7)
    with running(ContractServer(made[0], faults=Faults(sticky=True))) as server:
        server.first_loaded["support-0123456789ab"] = older
        with pytest.raises(SetupError, match="otherwise than its trainer does"):
            handed_over(server, made)
        done = handed_over(server, made, name="support-ba9876543210")
        assert done.to_tuned < 0.01  # a name of its own is how it never happens


def test_versions_of_other_content_never_share_a_name():
    one, other = deployed_name("Support bot", "vaaaa"), deployed_name("Support bot", "vbbbb")
    assert one == "support-bot-aaaa" != other
    assert deployed_name("支持", "vaaaa") == "adapter-aaaa"


# FIELD 17: an adapter over a base of the same name and other weights.
def test_another_base_is_refused_before_the_load(made, tmp_path):
    other = make_tiny_llm(tmp_path / "other", initializer_range=0.25)
    with running(ContractServer(other)) as server:
        with pytest.raises(SetupError, match="does not run the base") as told:
            handed_over(server, made)
        assert told.value.code == "wrong_base"
        assert server.loads == []


def test_a_load_that_is_confirmed_and_forgotten_is_told(made):
    with (
        running(ContractServer(made[0], faults=Faults(unlisted=True))) as server,
        pytest.raises(SetupError, match="does not list it"),
    ):
        handed_over(server, made)


def test_a_server_without_runtime_loading_is_told_how_to_start(made):
    with (
        running(ContractServer(made[0], faults=Faults(no_runtime=True))) as server,
        pytest.raises(UpstreamError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
    ):
        handed_over(server, made)


def test_a_server_that_hides_its_probabilities_cannot_be_proved(made):
    with (
        running(ContractServer(made[0], faults=Faults(no_logprobs=True))) as server,
        pytest.raises(UpstreamError, match="no log-probabilities"),
    ):
        handed_over(server, made)


def test_an_adapter_that_hardly_acts_is_refused(made, tmp_path):
    base, _, _ = made
    faint = make_adapter(base, tmp_path, scale=1e-4)
    with running(ContractServer(base)) as server:
        with pytest.raises(SetupError, match="moves none of 8 probes"):
            handed_over(server, (base, faint, make_probes(base, faint)))
        assert server.loads == []


def test_nobody_listening_is_told(made):
    server = ContractServer(made[0], url="http://127.0.0.1:9")
    with pytest.raises(UpstreamError, match="is it running"):
        handed_over(server, made)


# FIELD 16: modules_to_save, and whatever else servers do not load.
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modules_to_save": ["lm_head"]}, "whole modules along \\(lm_head\\)"),
        ({"use_dora": True}, "it is DoRA"),
        ({"bias": "all"}, "trains biases"),
        ({"trainable_token_indices": [1]}, "single tokens"),
        ({"rank_pattern": {"q_proj": 64}}, "rank 64 is above"),
    ],
)
def test_what_servers_cannot_load_is_told_at_once(made, tmp_path, change, said):
    config = json.loads((made[1] / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | change))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    (fault,) = static_faults(read_adapter(tmp_path), Limits("vLLM", max_rank=16))
    assert re.search(said, fault)


def test_modules_without_room_are_named(made):
    limits = Limits("SGLang", targets=("q_proj", "v_proj"))
    (fault,) = static_faults(read_adapter(made[1]), limits)
    assert "down_proj" in fault
    assert "--lora-target-modules" in fault


def test_probes_come_back_as_they_were_written(made, tmp_path):
    write_probes(tmp_path / "probes.json", made[2])
    assert read_probes(tmp_path / "probes.json") == made[2]
    assert read_probes(tmp_path / "none.json") == ()
    (tmp_path / "probes.json").write_text("{}")
    with pytest.raises(SetupError, match="delete it"):
        read_probes(tmp_path / "probes.json")


def test_distances_go_by_shared_tokens():
    one = {"a": -0.1, "b": -3.0, "c": -4.0}
    assert distance(one, {"a": -0.2, "b": -3.0, "x": -9.0}) == pytest.approx(0.1)
    assert distance(one, {"x": -0.1, "y": -3.0, "a": -4.0}) == float("inf")
    probe = Probe("p", one, one)
    assert compare([one], [replace(probe).tuned]) == 0
    assert compare([], []) == float("inf")
