"""RFC 3339 times as Go reads them, to the nanosecond.

Images are ordered by such times and payloads are refused for malformed ones, and `datetime` keeps only
microseconds and reads other texts. Source: the documentation of Go's time package; Go 1.26 asked.
"""

from __future__ import annotations

import re
from datetime import date

SECOND = 1_000_000_000
YEAR_ONE = -62_135_596_800 * SECOND
"""The instant of Go's zero time, which stands for `no time`."""

_SHAPE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_EPOCH = date(1970, 1, 1).toordinal()
_DAYS_IN_400_YEARS = 146_097


def instant(text: str) -> int | None:
    """Nanoseconds since 1970, or None if Go does not read `text`.

    Beyond the RFC, Go takes an hour of one digit, a comma, and offsets of 24 hours and 60 minutes, in JSON too.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset_hour, offset_minute = int(found[9] or 0), int(found[10] or 0)
    if max(hour - 23, minute - 59, second - 59, offset_hour - 24, offset_minute - 60) > 0:
        return None
    try:
        # The calendar repeats every 400 years; so read, Go's year 0 has a date as well.
        days = date(year + 400 if year < 1 else year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    if year < 1:
        days -= _DAYS_IN_400_YEARS
    offset = (offset_hour * 60 + offset_minute) * (-60 if found[8] == "-" else 60)
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset
    return seconds * SECOND + int((found[7] or "0")[:9].ljust(9, "0"))
