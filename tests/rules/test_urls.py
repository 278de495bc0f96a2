import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.profiles import LATEST, PROFILES
from kargo_lab.rules import urls

DATA = Path(__file__).parents[1] / "data"
NORMALIZE = {
    "git-urls": urls.normalize_git,
    "image-urls": urls.normalize_image,
    "chart-urls": urls.normalize_chart,
}
RECORDS = [(name, record) for name in NORMALIZE for record in json.loads((DATA / f"{name}.json").read_text())]


def _profile(record):
    # The rows stand for the newest patch of a minor, so that `until 1.9.2` is any row before v1.9.
    return PROFILES["v1.8"] if record["until"] else LATEST


@pytest.mark.parametrize(
    ("name", "record"),
    [pytest.param(n, r, id=f"{n}: {r['input']!a} until {r['until']}"[:120]) for n, r in RECORDS],
)
def test_normalises_as_kargo_does(name, record):
    assert NORMALIZE[name](record["input"], profile=_profile(record)) == record["output"]


def test_there_are_324_vectors():
    assert len(RECORDS) == 324
