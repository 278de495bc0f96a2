"""A process for test_crash.py to kill: a lab on a store, driven by lines on its standard input.

`deliver HOST TAG` sends a signed delivery through the intake and prints the status; nothing is
discovered, as if the process died before a worker got to it. `refresh` sets tokens for ever and
prints each once it is set.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from kargo_lab.engine.lab import Lab
from kargo_lab.engine.store import Store
from kargo_lab.resources import loading
from kargo_lab.wire import Answer, Delivery


def deliver(lab: Lab, host: str, tag: str) -> int:
    config = lab.objects.configs[0]
    route = lab.route(lab.objects.receiver_entries(config)[0].path)
    assert not isinstance(route, Answer)
    resource = {"tag": tag, "resource_url": f"{host}/acme/web:{tag}"}
    body = json.dumps({"type": "PUSH_ARTIFACT", "event_data": {"resources": [resource]}}).encode()
    answer = lab.deliver(route, Delivery(headers={"Authorization": "s3cr3t"}, body=body))
    assert isinstance(answer, Answer)
    return answer.status


def main(store: str, resources: str) -> None:
    lab = Lab(store=Store(store))
    lab.apply(loading.load(Path(resources)))
    lab.step()
    print("ready", flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "deliver":
            print(deliver(lab, *arguments), flush=True)
        elif command == "refresh":
            for number in itertools.count():
                lab.store.refresh(["p/w"], str(number))
                print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
