"""URLs as Go's net/url reads and writes them.

Kargo's URL rules parse, change the path and write the URL again, so what Go escapes and what it leaves
alone shows in the result; `urllib.parse` escapes otherwise and refuses next to nothing. Go's strings are
bytes, and an escape may stand for any byte: paths are bytes here too.

Source: receivers.md 6.1, the documentation of net/url, RFC 3986, and Go 1.26 asked URL by URL.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from kargo_lab.errors import RuleError

MAX_QUERY_PAIRS = 10_000  # beyond, Go reads no query at all


class URLError(RuleError):
    """A text that Go does not parse as a URL."""


_ALNUM = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_UNRESERVED = _ALNUM + b"-_.~"
_PATH = frozenset(_UNRESERVED + b"$&+,/:;=@")
_PLAIN: Mapping[str, frozenset[int]] = MappingProxyType(
    {  # what each part of a URL holds unescaped
        "path": _PATH,
        "fragment": _PATH | frozenset(b"?!()*"),
        "user": frozenset(_UNRESERVED + b"$&+,;="),
        "host": frozenset(_UNRESERVED + b"!$&'()*+,;=:[]<>\""),
        "zone": frozenset(_UNRESERVED + b"!$&'()*+,;=:[]<>\""),
    }
)
_TOLERATED = frozenset(b"!$&'()*+,;=:@[]%")  # accepted as they are spelled, though written otherwise
_USER_LETTERS = frozenset(_ALNUM + b"-._:~!$&'()*+,;=%@")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_PORT = re.compile(rb"(?::[0-9]*)?")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


def as_bytes(text: str) -> bytes:
    """A text as Go's bytes; lone surrogates, which Go does not have, count as U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()


def escape(data: bytes, part: str) -> bytes:
    """Percent-encode what `part` does not hold plainly, with upper-case hex."""
    plain = _PLAIN[part]
    return b"".join(bytes((byte,)) if byte in plain else b"%%%02X" % byte for byte in data)


def _unescape(data: bytes, part: str = "") -> bytes:
    """Decode percent-escapes; raises ValueError for a broken one, or where a host or zone holds what it must not."""
    in_host = part in ("host", "zone")

    def decoded(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise ValueError(f"invalid URL escape {found.string[found.start() : found.start() + 3]!r}")
        byte = int(found[1], 16)
        # Hosts take escapes for bytes beyond ASCII only; an IPv6 zone also for what a host holds plainly.
        allowed = byte >= 0x80 if part == "host" else byte == 0x20 or byte in _PLAIN["zone"]
        if in_host and found[0] != b"%25" and not allowed:
            raise ValueError(f"invalid URL escape {found[0]!r}")
        return bytes((byte,))

    if in_host:
        for byte in data:
            if byte < 0x80 and byte not in _PLAIN[part] and byte != ord("%"):
                raise ValueError(f"invalid character {chr(byte)!r} in host name")
    return _ESCAPE.sub(decoded, data)


def _spelled(decoded: bytes, raw: bytes, part: str) -> bytes:
    """`decoded` in the spelling it came in, if that is a legal one and still means the same; else escaped afresh."""
    legal = raw and all(byte in _TOLERATED or byte in _PLAIN[part] for byte in raw)
    # `raw` was decoded once already, so it can be again.
    return raw if legal and _unescape(raw) == decoded else escape(decoded, part)


@attrs.frozen(kw_only=True)
class URL:
    """The parts of a URL, decoded; `raw_` fields keep the spelling.

    `force_query`: a question mark was there, so one is written even before nothing.
    `user` is None without user information, else the name and the password (None: no colon).
    """

    scheme: bytes = b""
    opaque: bytes = b""
    user: tuple[bytes, bytes | None] | None = None
    host: bytes = b""
    path: bytes = b""
    raw_path: bytes = b""
    omit_host: bool = False
    force_query: bool = False
    raw_query: bytes = b""
    fragment: bytes = b""
    raw_fragment: bytes = b""

    def has_query(self) -> bool:
        """True if at least one query parameter can be read."""
        pairs = self.raw_query.split(b"&")
        return len(pairs) <= MAX_QUERY_PAIRS and any(_is_parameter(pair) for pair in pairs)

    def __bytes__(self) -> bytes:
        """The URL written out."""
        out = self.scheme + b":" if self.scheme else b""
        if self.opaque:
            out += self.opaque
        else:
            out += self._authority()
            path = b"*" if self.path == b"*" else _spelled(self.path, self.raw_path, "path")
            if path and not path.startswith(b"/") and self.host:
                out += b"/"
            if not out and b":" in path.partition(b"/")[0]:
                out = b"./"  # else the first segment would read as a scheme
            out += path
        if self.force_query or self.raw_query:
            out += b"?" + self.raw_query
        if self.fragment:
            out += b"#" + _spelled(self.fragment, self.raw_fragment, "fragment")
        return out

    def _authority(self) -> bytes:
        if not (self.scheme or self.host or self.user) or (self.omit_host and not self.host and not self.user):
            return b""
        out = b"//" if self.host or self.path or self.user else b""
        if self.user is not None:
            name, password = self.user
            out += escape(name, "user")
            if password is not None:
                out += b":" + escape(password, "user")
            out += b"@"
        return out + escape(self.host, "host")


def _is_parameter(pair: bytes) -> bool:
    if not pair or b";" in pair:
        return False
    try:
        _unescape(pair)
    except ValueError:
        return False
    return True


def parse(text: str, *, strict_colons: bool = True) -> URL:
    """Read a URL or URL reference. Raises URLError.

    `strict_colons`: as from Go 1.26, an HTTP host without brackets holds one colon at most.
    """
    try:
        return _parse(as_bytes(text), strict_colons=strict_colons)
    except ValueError as problem:
        raise URLError(str(problem), text) from None


def _parse(data: bytes, *, strict_colons: bool) -> URL:
    rest, _, raw_fragment = data.partition(b"#")
    if _CONTROL.search(rest):
        raise ValueError("invalid control character in URL")
    scheme, rest = _scheme(rest)
    rest, mark, raw_query = rest.partition(b"?")
    url = URL(scheme=scheme, force_query=bool(mark), raw_query=raw_query)
    if not rest.startswith(b"/"):
        if scheme:
            return _with_fragment(attrs.evolve(url, opaque=rest), raw_fragment)
        if b":" in rest.partition(b"/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    if rest.startswith(b"//") and (scheme or not rest.startswith(b"///")):
        authority, slash, rest = rest[2:].partition(b"/")
        rest = slash + rest
        userinfo, at, host = authority.rpartition(b"@")
        user = _user(userinfo) if at else None
        url = attrs.evolve(url, host=_host(host, one_colon=strict_colons and scheme in (b"http", b"https")), user=user)
    elif scheme:
        url = attrs.evolve(url, omit_host=True)
    return _with_fragment(attrs.evolve(url, path=_unescape(rest), raw_path=rest), raw_fragment)


def _with_fragment(url: URL, raw: bytes) -> URL:
    return attrs.evolve(url, fragment=_unescape(raw), raw_fragment=raw)


def _scheme(data: bytes) -> tuple[bytes, bytes]:
    """The scheme in lower case, and what follows its colon; no scheme is no error, a leading colon is."""
    if data.startswith(b":"):
        raise ValueError("missing protocol scheme")
    found = _SCHEME.match(data)
    return (found[1].lower(), data[found.end() :]) if found else (b"", data)


def _user(userinfo: bytes) -> tuple[bytes, bytes | None]:
    if not all(byte in _USER_LETTERS for byte in userinfo):
        raise ValueError("invalid userinfo")
    name, colon, password = userinfo.partition(b":")
    return _unescape(name), _unescape(password) if colon else None


def _host(host: bytes, *, one_colon: bool) -> bytes:
    """A host with its port: brackets hold an IPv6 address, a port is digits or nothing."""
    opening = host.rfind(b"[")
    if opening >= 0:
        return _bracketed(host, opening)
    colon = host.find(b":") if one_colon else host.rfind(b":")
    if colon >= 0 and not _PORT.fullmatch(host, colon):
        raise ValueError(f"invalid port {host[colon:]!r} after host")
    return _unescape(host, "host")


def _bracketed(host: bytes, opening: int) -> bytes:
    closing = host.rfind(b"]")
    if opening > 0 or closing < 0:
        raise ValueError("invalid IP-literal")
    if not _PORT.fullmatch(host, closing + 1):
        raise ValueError(f"invalid port {host[closing + 1 :]!r} after host")
    address, percent, zone = host[1:closing].partition(b"%25")
    decoded = _unescape(address, "host") + _unescape(percent + zone, "zone")
    number, percent, zone = decoded.partition(b"%")
    try:
        ipaddress.IPv6Address(number.decode("ascii"))
    except ValueError:
        raise ValueError(f"invalid host {host!r}") from None
    if percent and not zone:
        raise ValueError("empty IPv6 zone")
    return b"[" + decoded + host[closing:]
