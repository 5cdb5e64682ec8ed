"""Secrets and personal data: found by shape and check digits, never shown in full."""

import json

import pytest

from steelyard.datasets.training import read_files
from steelyard.datasets.training.private import find_private

FOUND = [
    ("secret key", "use sk-proj-" + "a1B2" * 8 + " now", "sk-proj-" + "a1B2" * 8),
    ("secret key", "AKIA" + "ABCD1234" * 2, "AKIA" + "ABCD1234" * 2),
    ("secret key", "ghp_" + "x1" * 18, "ghp_" + "x1" * 18),
    ("secret key", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----"),
    ("password", "password: hunter2hunter2", "hunter2hunter2"),
    ("e-mail address", "write to ana.reis@example.org.", "ana.reis@example.org"),
    ("bank account", "pay GB82 WEST 1234 5698 7654 32 today", "GB82 WEST 1234 5698 7654 32"),
    ("bank account", "DE89370400440532013000", "DE89370400440532013000"),
    ("payment card", "card 4111 1111 1111 1111.", "4111 1111 1111 1111"),
    ("telephone number", "call +49 30 901820 now", "+49 30 901820"),
    ("telephone number", "call (212) 555-0142", "(212) 555-0142"),
    ("social security number", "SSN 536-22-8726, born", "536-22-8726"),
    ("password", "postgres://app:hunter22@db/prod", "hunter22"),
    ("secret key", "Authorization: Bearer " + "ab12" * 8, "ab12" * 8),
    ("secret key", "https://hooks.slack.com/services/T0/B0/" + "x1" * 12, "x1" * 12),
    ("secret key", "SG." + "a1" * 11 + "." + "b2" * 20, "b2" * 20),
]
NOTHING = [
    "GB83 WEST 1234 5698 7654 32",  # wrong check digits
    "4111 1111 1111 1112",
    "on 2026-01-31 at 12:00, 1,000,000 or 3.14159265",
    "order 20260131 of 31.12.2026 12345678",
    "the password is kept; secret: none",
    "a@b and sk-short",
    "10.0.0.12/24 192.168.100.200",
    "3000000000 * 12 = 36000000000",
    "see https://example.org:8080/a, or 000-12-3456",
    "the Bearer of this letter_of_recommendation_is_known",
]


@pytest.mark.parametrize(("what", "text", "secret"), FOUND, ids=[one[1][:12] for one in FOUND])
def test_what_is_private_is_found_and_masked(what, text, secret):
    (found,) = find_private(text)
    assert found.what == what
    assert secret not in found.shown


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_private_is_not(text):
    assert list(find_private(text)) == []


def test_flags_name_place_and_field_and_the_row_stays_sound(tmp_path):
    turns = [{"role": "user", "content": "I am bo@example.org"}, {"role": "assistant",
             "content": "Noted."}]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": turns}) + "\n")
    found = read_files([path])
    assert len(found.rows) == 1
    assert [str(flag) for flag in found.flags] == [
        "rows.jsonl:1: field 'messages[0].content' holds private data, "
        "e-mail address bo@… (14 characters)"
    ]
