"""The method sets of Go's time types, as the compiler sees them."""

from __future__ import annotations

from kargo_lab.rules.expressions.natures import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    INT64,
    INT_KIND,
    POINTER,
    STRING,
    STRUCT,
    GoType,
    function,
)

_LATER: dict[str, GoType] = {}

MONTH = GoType(name="time.Month", kind=INT_KIND, methods={"String": function(result=STRING)})
WEEKDAY = GoType(name="time.Weekday", kind=INT_KIND, methods={"String": function(result=STRING)})
_LOCATION = GoType(name="time.Location", kind=STRUCT)
LOCATION = GoType(
    name="*time.Location",
    kind=POINTER,
    element=_LOCATION,
    methods={"String": function(result=STRING)},
)
DURATION = GoType(name="time.Duration", kind="int64", methods=_LATER)
_LATER |= {
    **dict.fromkeys(["Hours", "Minutes", "Seconds"], function(result=FLOAT)),
    **dict.fromkeys(["Milliseconds", "Microseconds", "Nanoseconds"], function(result=INT64)),
    **dict.fromkeys(["Round", "Truncate"], function(DURATION, result=DURATION)),
    "Abs": function(result=DURATION),
    "String": function(result=STRING),
}

_OF_TIME: dict[str, GoType] = {}
TIME = GoType(name="time.Time", kind=STRUCT, methods=_OF_TIME)
_OF_TIME |= {
    **dict.fromkeys(["After", "Before", "Equal"], function(TIME, result=BOOL)),
    **dict.fromkeys(["Truncate", "Round", "Add"], function(DURATION, result=TIME)),
    **dict.fromkeys(["UTC", "Local"], function(result=TIME)),
    **dict.fromkeys(["Day", "Hour", "Minute", "Second", "Nanosecond", "YearDay"], function(result=INT)),
    **dict.fromkeys(["Unix", "UnixMilli", "UnixMicro", "UnixNano"], function(result=INT64)),
    **dict.fromkeys(["IsZero", "IsDST"], function(result=BOOL)),
    **dict.fromkeys(["String", "GoString"], function(result=STRING)),
    **dict.fromkeys(["MarshalJSON", "MarshalText"], function(result=BYTES, results=2)),
    **dict.fromkeys(["Date", "Clock"], function(result=INT, results=3)),
    "AddDate": function(INT, INT, INT, result=TIME),
    "Compare": function(TIME, result=INT),
    "Format": function(STRING, result=STRING),
    "ISOWeek": function(result=INT, results=2),
    "In": function(LOCATION, result=TIME),
    "Location": function(result=LOCATION),
    "Month": function(result=MONTH),
    "Sub": function(TIME, result=DURATION),
    "Weekday": function(result=WEEKDAY),
    "Year": function(result=INT),
    "Zone": function(result=STRING, results=2),
}
