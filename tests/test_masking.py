"""Secrets are known by the names of their keys, and masked in whatever text they come up."""

import pytest

from al_bench import masking
from al_bench.masking import is_secret, masked, masked_code, masked_command, masked_text


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    monkeypatch.setattr(masking, "_secrets", set())


@pytest.mark.promise("Secrets stay home")
@pytest.mark.parametrize(
    "key",
    [
        "api_key", "dataset.api_key", "openai_api_key", "apiKey", "OPENAI_API_KEY", "api-key",
        "hf_token", "token", "accessToken", "db.password", "client_secret", "x.credentials",
        "x.credentials.user", "tracker.key", "tracker.auth", "tracker.x.dsn", "+strategy.token",
    ],
)  # fmt: skip
def test_keys_of_secrets(key):
    assert is_secret(key)
    assert masked_text(f"{key}=abc") == f"{key}=<masked>"


@pytest.mark.parametrize(
    "key",
    [
        "num_tokens",
        "key_size",
        "tokenizer",
        "dataset.key",
        "secretary",
        "passwords_file",
        "api",
        "x.token._target_",
    ],
)
def test_keys_of_others(key):
    assert not is_secret(key)
    assert masked_text(f"{key}=abc") == f"{key}=abc"


def test_only_texts_are_masked_and_what_lies_below_a_secret_key_is_one():
    config = {
        "token": 3,
        "password": None,
        "credentials": {"user": "joe", "more": ["x", 1]},
        "uri": "postgres://me:p@ss@host/db",
        "tracker": {"_target_": "my.key"},
    }
    assert masked(config) == {
        "token": 3,
        "password": None,
        "credentials": {"user": "<masked>", "more": ["<masked>", 1]},
        "uri": "postgres://me:<masked>@host/db",
        "tracker": {"_target_": "my.key"},
    }
    assert masking.masked_keys(masked(config)) == ["credentials.user", "credentials.more", "uri"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('api_key: str = "sk-x"', 'api_key: str = "<masked>"'),
        ("{'api_key': 'sk-1', 'n': 3}", "{'api_key': '<masked>', 'n': 3}"),
        ('{"token": "a\\"b"}', '{"token": "<masked>"}'),
        ("GET https://h/x?token=abc&y=1", "GET https://h/x?token=<masked>&y=1"),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer <masked>"),
        ("git clone https://me:pw@host/x", "git clone https://me:<masked>@host/x"),
        ("x.token=null x.token=3 x.token=${oc.env:T}", None),
        ("http://localhost:5000/a@b", None),
    ],
)
def test_texts(text, said):
    assert masked_text(text) == (said or text)


def test_known_values_are_masked_wherever_they_come_up():
    masking.remember({"dataset": {"token": "sk-abcdef", "uri": "http://x"}})
    assert masked_text("refused sk-abcdef, but sk-abcdefg stays") == (
        "refused <masked>, but sk-abcdefg stays"
    )
    assert masked({"note": "of sk-abcdef"}) == {"note": "of <masked>"}


def test_code_keeps_what_is_no_text():
    assert masked_code("token = next(words)\npassword = 'abc'") == (
        "token = next(words)\npassword = '<masked>'"
    )


def test_a_command_line_stays_one():
    line = "al-bench run 'dataset.token=a b' seeds=3 'tracker={api_key: sk-1, x: 2}'"
    assert masked_command(line) == (
        "al-bench run 'dataset.token=<masked>' seeds=3 'tracker={api_key: <masked>, x: 2}'"
    )


@pytest.mark.slow
def test_long_texts_are_read_once():
    for text in ("a" * 200_000, "token:" * 50_000, "token='" * 50_000, "x://" * 50_000):
        masked_text(text)  # what looks again from every letter would take hours
