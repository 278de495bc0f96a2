"""JFrog Artifactory: images and OCI charts that were pushed, signed by a bare HMAC over the raw body.

The repository is put together from the origin, the repository key and the path of the manifest, because the
payload's image name is not reliable. As in Kargo, what is unsupported answers 501. Source: receivers.md 4.9 and 7.
"""

from __future__ import annotations

from kargo_lab.profiles import Profile
from kargo_lab.receivers.examination import (
    BAD_BODY,
    Check,
    Examination,
    body_decodes,
    examine,
    has_header,
    push,
    secret_is_void,
)
from kargo_lab.rules import gourl, signatures, urls
from kargo_lab.rules.json import TEXT, Struct
from kargo_lab.wire import Acknowledged, Delivery, NoAnswer, Refusal, Setup, Verdict

TYPE = "artifactory"
SECRET_KEY = "secret-token"  # noqa: S105 - the name of a key, not a secret
SIGNATURE_HEADER = "x-jfrog-event-auth"

SHAPE = Struct(
    {
        "domain": TEXT,
        "event_type": TEXT,
        "data": Struct({"path": TEXT, "repo_key": TEXT, "image_name": TEXT, "image_type": TEXT, "tag": TEXT}),
        "jpd_origin": TEXT,
    }
)
_IMAGE_TYPES = ("docker", "oci")
_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def signature_matches(examination: Examination) -> Verdict | None:
    """The header is the HMAC in lower-case hex, without a prefix; JFrog's plain-secret mode is refused."""
    delivery, secret = examination.delivery, examination.setup.secret
    claimed = delivery.header(SIGNATURE_HEADER)
    if secret_is_void(examination) or not signatures.bare_sha256_matches(claimed, delivery.body, secret):
        return Refusal(401, "unauthorized")
    return None


def is_image_push(examination: Examination) -> Verdict | None:
    """Only pushes in the Docker domain are of interest."""
    body = examination.body
    if (body["event_type"], body["domain"]) == ("pushed", "docker"):
        return None
    return _unsupported(examination, "event type must be 'pushed' and domain must be 'docker'")


def image_type_is_known(examination: Examination) -> Verdict | None:
    """Images and OCI charts only. Up to 1.7 Kargo asks this last."""
    return _judge_image_type(examination) if examination.profile.artifactory_type_first else None


def origin_is_a_url(examination: Examination) -> Verdict | None:
    """The origin parses as a URL; without a scheme it does too, but has no host then."""
    origin = examination.body["jpd_origin"]
    try:
        gourl.parse(origin, strict_colons=examination.profile.url_strict_colons)
    except gourl.URLError:
        if examination.profile.artifactory_origin_text:
            return Refusal(400, f"invalid value {go_quoted(origin)} in payload's jpd_origin field")
        return BAD_BODY
    return None


def path_is_long_enough(examination: Examination) -> Verdict | None:
    """The path ends in tag and manifest."""
    path = examination.body["data"]["path"]
    if "/" in path:
        return None
    if examination.profile.artifactory_short_path == "closes-connection":
        return NoAnswer("the path has one segment, and Kargo's code cuts off two")
    return Refusal(400, f"invalid value {go_quoted(path)} in payload's data.path field")


def image_type_is_known_after_all(examination: Examination) -> Verdict | None:
    """Where the image type was not judged before."""
    return None if examination.profile.artifactory_type_first else _judge_image_type(examination)


def conclude(examination: Examination) -> Verdict:
    """The repository below the origin's host, and the tag."""
    body, profile = examination.body, examination.profile
    data = body["data"]
    virtual = examination.setup.virtual_repo_name if profile.virtual_repositories else ""
    host = gourl.parse(body["jpd_origin"], strict_colons=profile.url_strict_colons).host.decode(errors="replace")
    url = "/".join((host, virtual or data["repo_key"], *data["path"].split("/")[:-2]))
    normalize = urls.normalize_image if data["image_type"] == "docker" else urls.normalize_chart
    return push(examination, (normalize(url, profile=profile),), (data["tag"],))


CHECKS: tuple[Check, ...] = (
    has_header(SIGNATURE_HEADER, "missing signature"),
    signature_matches,
    body_decodes,
    is_image_push,
    image_type_is_known,
    origin_is_a_url,
    path_is_long_enough,
    image_type_is_known_after_all,
    conclude,
)


def begin(delivery: Delivery, setup: Setup, profile: Profile) -> Examination:
    """What the checks look at."""
    return Examination(receiver_type=TYPE, delivery=delivery, setup=setup, profile=profile, shape=SHAPE)


def receive(delivery: Delivery, setup: Setup, profile: Profile) -> Verdict:
    """Say what one delivery means."""
    return examine(CHECKS, begin(delivery, setup, profile))


def go_quoted(text: str) -> str:
    """The text in double quotes as Go's `%q` shows it."""
    return f'"{"".join(_escaped(letter) for letter in text)}"'


def _escaped(letter: str) -> str:
    code = ord(letter)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if letter.isprintable():
        return letter
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _judge_image_type(examination: Examination) -> Verdict | None:
    image_type = examination.body["data"]["image_type"]
    if image_type in _IMAGE_TYPES:
        return None
    return _unsupported(examination, f"unsupported image type {go_quoted(image_type)}")


def _unsupported(examination: Examination, text: str) -> Verdict:
    if examination.profile.acknowledge_unsupported:
        return Acknowledged(f"{text}, so nothing was refreshed")
    return Refusal(examination.profile.unsupported_event_status[TYPE], text)
