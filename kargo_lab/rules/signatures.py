"""The signatures of webhook deliveries, checked over the raw body and written for the senders.

All comparisons take the same time whatever is claimed, and any text may be claimed: it comes from
strangers. The digests are those go-github accepts, whatever the header is called. Source: receivers.md 4.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

PREFIXED_ALGORITHMS = ("sha1", "sha256", "sha512")


def hmac_hex(algorithm: str, secret: bytes, body: bytes) -> str:
    """The HMAC of `body` in lower-case hex; `algorithm` is `sha1`, `sha256` or `sha512`."""
    return hmac.new(secret, body, algorithm).hexdigest()


def sign_prefixed(secret: bytes, body: bytes, *, algorithm: str = "sha256") -> str:
    """The header value that GitHub, Gitea and Bitbucket send: `sha256=<hex>`."""
    return f"{algorithm}={hmac_hex(algorithm, secret, body)}"


def sign_bare(secret: bytes, body: bytes) -> str:
    """The header value that Artifactory sends: the bare hex of an HMAC-SHA-256."""
    return hmac_hex("sha256", secret, body)


def token_matches(claimed: str, secret: bytes) -> bool:
    """True if the claimed text is the secret, byte for byte.

    Kargo compares with `!=`; the outcome is the same, and here it takes constant time.
    """
    return hmac.compare_digest(_bytes_of(claimed), secret)


def _bytes_of(header: str) -> bytes:
    """The bytes of a header value that was decoded as UTF-8 with `surrogateescape`, which is how the lab does it."""
    try:
        return header.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that no byte stands behind: no header decodes to it
        return header.encode("utf-8", "surrogatepass")


def prefixed_matches(claimed: str, body: bytes, secret: bytes, algorithms: Sequence[str] = PREFIXED_ALGORITHMS) -> bool:
    """True if `claimed` is `<algorithm>=<hex>` for `body`: the prefix in lower case, the hex in either case."""
    algorithm, _, digits = claimed.partition("=")
    if algorithm not in algorithms or not digits.isascii():
        return False
    # Letters beyond hex survive the lowering and cannot be equal.
    return hmac.compare_digest(digits.lower().encode(), hmac_hex(algorithm, secret, body).encode())


def bare_sha256_matches(claimed: str, body: bytes, secret: bytes) -> bool:
    """True if `claimed` is the HMAC-SHA-256 of `body` in lower-case hex and nothing else."""
    return hmac.compare_digest(claimed.encode(errors="replace"), sign_bare(secret, body).encode())
