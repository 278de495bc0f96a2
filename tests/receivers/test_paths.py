import json
from pathlib import Path
from typing import Any

import pytest

from kargo_lab.receivers import paths
from kargo_lab.rules.gourl import URLError

RECORDS = json.loads((Path(__file__).parents[1] / "data" / "receiver-paths.json").read_text())


def _id(record: dict[str, Any]) -> str:
    return f"{record['type']} {record['name'][:12]} of {record['project'] or 'cluster'} below {record['baseURL']}"


@pytest.mark.parametrize("record", RECORDS, ids=_id)
def test_the_path_and_url_of_a_receiver_are_kargos(record: dict[str, Any]) -> None:
    digest = paths.receiver_hash(record["project"], record["name"], record["secret"].encode())
    if record["error"]:
        with pytest.raises(URLError):
            paths.receiver_path(record["baseURL"], record["type"], digest)
        return
    found = (
        digest,
        paths.receiver_path(record["baseURL"], record["type"], digest),
        paths.receiver_url(record["baseURL"], record["type"], digest),
    )
    assert found == (record["hash"], record["path"], record["url"])
