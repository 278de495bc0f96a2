"""What other programs read of a report: JUnit XML for a pipeline, a badge for a front page.

Both are made of the report document. What they have no word for is put into the nearest of theirs, and said in
the text: a run that is no pass looks like one nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from xml.etree import ElementTree as ET

from kargo_lab.conformance import verdicts

_COLOURS = {"passed": "brightgreen", "partial": "yellow", "failed": "red", "broken": "lightgrey"}  # shields.io's names
_DARK = {"passed": "#1a7f37", "partial": "#8a5a00", "failed": "#b3261e", "broken": "#57606a"}  # white can be read on it
_LABEL = "kargo-lab"
_LETTER, _MARGIN = 6.1, 6.0  # about the width of a letter of 11 px, and the room at both sides


def badge(report: Mapping[str, Any]) -> dict[str, Any]:
    """A shields.io endpoint document: `core 41/41, extended 12/20`; a run that is neither pass nor failure says so."""
    parts = []
    for level, numbers in report["footer"]["counts"].items():
        if every := sum(numbers.values()):
            parts.append(f"{level} {numbers['pass']}/{every}")
    outcome = report["footer"]["outcome"]
    said = ", ".join(parts) or "nothing judged"
    return {
        "schemaVersion": 1,
        "label": _LABEL,
        "message": f"{outcome}: {said}" if outcome in ("partial", "broken") else said,
        "color": _COLOURS[outcome],
    }


def badge_image(report: Mapping[str, Any]) -> str:
    """The same as SVG, for a page that shall not ask shields.io."""
    message = badge(report)["message"]
    widths = [round(_LETTER * len(text) + 2 * _MARGIN) for text in (_LABEL, message)]
    left, right = widths
    texts = "".join(
        f'<text x="{start + _MARGIN}" y="14" textLength="{width - 2 * _MARGIN}">{escape(text)}</text>'
        for text, start, width in ((_LABEL, 0, left), (message, left, right))
    )
    name = escape(
        f"{_LABEL}: {report['footer']['outcome']}, {message.removeprefix(report['footer']['outcome'] + ': ')}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{name}">'
        f"<title>{name}</title>"
        f'<rect width="{left + right}" height="20" rx="3" fill="{_DARK[report["footer"]["outcome"]]}"/>'
        f'<rect width="{left}" height="20" rx="3" fill="#444"/><rect x="{left - 3}" width="3" height="20" fill="#444"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g></svg>\n'
    )


def junit(report: Mapping[str, Any]) -> bytes:
    """The report as JUnit XML: one test suite a group, one test case a case.

    A failure that does not count is `skipped`, as pytest writes an expected one; a stale entry of the target file,
    which fails the run, is a failure of a suite of its own.
    """
    root = ET.Element("testsuites", name="kargo-lab conformance", time=str(report["footer"]["seconds"]))
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in report["cases"]:
        groups.setdefault(case["id"].partition("/")[0], []).append(case)
    for group, cases in groups.items():
        suite = _suite(root, group, report)
        for case in cases:
            element = ET.SubElement(
                suite,
                "testcase",
                classname=case["id"].rpartition("/")[0].replace("/", "."),
                name=case["id"].rpartition("/")[2],
                time=str(case["seconds"]),
            )
            _verdict(element, case)
        _count(suite)
    if stale := report["footer"].get("stale", ()):
        suite = _suite(root, "target-file", report)
        for sentence in stale:
            element = ET.SubElement(suite, "testcase", classname="target-file", name=_printable(sentence), time="0")
            ET.SubElement(element, "failure", message=_printable(sentence))
        _count(suite)
    text: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text


def _suite(root: ET.Element, name: str, report: Mapping[str, Any]) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", name=name)
    properties = ET.SubElement(suite, "properties")
    facts = {name: report["header"][name] for name in ("target", "profile", "seed", "command")}
    for key, value in {**facts, "outcome": report["footer"]["outcome"], "why": report["footer"].get("why", "")}.items():
        ET.SubElement(properties, "property", name=key, value=_printable(str(value)))
    return suite


def _count(suite: ET.Element) -> None:
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(1 for _ in suite.iter(tag))))


def _verdict(element: ET.Element, case: Mapping[str, Any]) -> None:
    if verdicts.known(case):
        ET.SubElement(element, "skipped", message=_printable(f"{case['note']}: {case['sentence']}"))
    elif case["status"] in ("fail", "error"):
        tag = "failure" if case["status"] == "fail" else "error"
        verdict = ET.SubElement(element, tag, message=_printable(case["sentence"]))
        differences = [
            f"{each['what']}: expected {each['expected']}, saw {each['seen']}" for each in case["differences"]
        ]
        verdict.text = _printable("\n".join([case["says"], f"source: {case['source']}", *differences, case["rerun"]]))
    elif case["status"] != "pass":
        ET.SubElement(element, "skipped", message=_printable(f"{case['status']}: {case['sentence']}"))


def _printable(text: str) -> str:
    """Without the characters that XML 1.0 forbids; a target chooses what it answers."""
    return "".join(
        character
        if character in "\t\n\r"
        or 0x20 <= ord(character) < 0xD800
        or 0xE000 <= ord(character) < 0xFFFE
        or ord(character) > 0xFFFF
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
