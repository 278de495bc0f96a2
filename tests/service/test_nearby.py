"""Which sources are on this machine, whatever form their address has."""

from __future__ import annotations

import pytest

from kargo_lab.engine.clock import VirtualClock
from kargo_lab.engine.lab import Lab
from kargo_lab.resources import loading
from kargo_lab.service import nearby


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/o/app.git",
        "127.0.0.1:5000/app",
        "127.8.9.1/app",
        "localhost:5000/app",
        "LOCALHOST/app",
        "oci://127.0.0.1:5000/chart",
        "ssh://git@127.0.0.1/app.git",
        "git@localhost:22/app.git",
        "http://[::1]:8879",
    ],
)
def test_is_near(url: str) -> None:
    assert nearby.is_near(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/ex/repo",
        "nginx",
        "docker.io/library/nginx",
        "127.0.0.1.example.com/app",
        "localhost.example.com/app",
        "https://example.com/127.0.0.1/app",
        "https://example.com/@127.0.0.1/app",
        "",
    ],
)
def test_is_elsewhere(url: str) -> None:
    assert not nearby.is_near(url)


def test_what_is_elsewhere_has_nothing_in_it_and_is_not_asked() -> None:
    text = """
apiVersion: kargo.akuity.io/v1alpha1
kind: Warehouse
metadata: {name: w, namespace: p}
spec: {subscriptions: [{git: {repoURL: https://github.com/ex/repo}}, {image: {repoURL: nginx, constraint: ^1.0.0}}]}
"""
    with Lab(clock=VirtualClock(), sources=nearby.LOOPBACK) as lab:
        lab.apply(loading.loads(text))
        lab.step()
        status = lab.warehouse_status("p/w")
        assert not lab.ledger.rows
    assert status is not None
    assert status.discovered is not None
