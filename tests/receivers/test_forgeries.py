"""Ten thousand near misses of a signature for each platform that has one, and not one is let in."""

import base64
import hmac
import json
import random
from collections.abc import Callable

import pytest

from kargo_lab import payloads, profiles
from kargo_lab.receivers import RECEIVERS
from kargo_lab.wire import Delivery, Refusal, Setup

KEY = b"correct horse battery staple"
HOW_MANY = 10_000
PLATFORMS = {
    "github": ("push", "X-Hub-Signature-256"),
    "bitbucket": ("repo:push", "X-Hub-Signature"),
    "gitea": ("push", "X-Hub-Signature-256"),
    "artifactory": ("docker-pushed", "X-JFrog-Event-Auth"),
    "gitlab": ("push", "X-Gitlab-Token"),
    "harbor": ("push-artifact", "Authorization"),
}
HEX = "0123456789abcdef"


def _other_key(right: str, body: bytes, rng: random.Random) -> str:
    place = rng.randrange(len(KEY))
    key = KEY[:place] + bytes((KEY[place] ^ (1 << rng.randrange(8)),)) + KEY[place + 1 :]
    if right == KEY.decode():
        return key.decode("latin-1")
    return right[: right.find("=") + 1] + hmac.new(key, body, "sha256").hexdigest()


def _other_body(right: str, body: bytes, rng: random.Random) -> str:
    place = rng.randrange(len(body))
    return right[: right.find("=") + 1] + hmac.new(KEY, body[:place] + body[place + 1 :], "sha256").hexdigest()


def _reserialised(right: str, body: bytes, rng: random.Random) -> str:
    text = json.dumps(json.loads(body), indent=rng.randrange(1, 9)).encode()
    text += b" " * (text == body)  # Gitea lays its bodies out itself
    return right[: right.find("=") + 1] + hmac.new(KEY, text, "sha256").hexdigest()


def _one_character(right: str, _: bytes, rng: random.Random) -> str:
    place = rng.randrange(len(right))
    letter = rng.choice([letter for letter in HEX + "g=xyzÄ" if letter.lower() != right[place].lower()])
    return right[:place] + letter + right[place + 1 :]


def _cut(right: str, _: bytes, rng: random.Random) -> str:
    return right[: rng.randrange(len(right))]


def _longer(right: str, _: bytes, rng: random.Random) -> str:
    return right + rng.choice(HEX + "=, \x00é") * rng.randrange(1, 4) + "x"


def _other_prefix(right: str, body: bytes, rng: random.Random) -> str:
    digits = hmac.new(KEY, body, "sha256").hexdigest()
    names = [
        "sha-256=",
        "SHA256=",
        "Sha256=",
        "sha256:",
        "sha256 =",
        "sha224=",
        "sha384=",
        "md5=",
        "v1,",
        "=",
        "sha1=",
    ]
    return rng.choice(names) + digits + (right[:0])


def _other_encoding(_: str, body: bytes, rng: random.Random) -> str:
    digest = hmac.new(KEY, body + b" " * rng.randrange(2), "sha256").digest()
    return (
        rng.choice(["sha256=", ""])
        + rng.choice([base64.b64encode, base64.urlsafe_b64encode, base64.b32encode])(digest).decode()
    )


FORGERS: list[Callable[[str, bytes, random.Random], str]] = [
    *[_other_key, _other_body, _reserialised, _one_character],
    *[_cut, _longer, _other_prefix, _other_encoding],
]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_forgery_is_let_in(platform: str) -> None:
    event, header = PLATFORMS[platform]
    rng = random.Random(platform)
    signed = payloads.sign(payloads.render(platform, event, "minimal"), platform, KEY)
    right, receive, setup = signed.header(header), RECEIVERS[platform], Setup(secret=KEY)
    assert not isinstance(receive(signed.delivery(), setup, profiles.LATEST), Refusal)
    let_in = []
    for number in range(HOW_MANY):
        claimed = FORGERS[number % len(FORGERS)](right, signed.body, rng)
        forged = signed.with_headers({header: claimed}).delivery()
        verdict = receive(Delivery(headers=forged.headers, body=forged.body), setup, profiles.LATEST)
        if verdict not in (
            Refusal(401, "unauthorized"),
            Refusal(401),
            Refusal(401, "missing signature"),
            Refusal(401, "missing authorization"),
        ):
            let_in.append(claimed)
    assert not let_in, f"of {HOW_MANY} forgeries these"
