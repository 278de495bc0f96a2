"""Kill a lab under load, over and over, and look whether anything it acknowledged is missing.

    python benchmarks/crash.py [KILLS] [SEED]

A child pushes tag after tag, asks for a refresh of each and prints the number once the refresh is
acknowledged, while its workers discover. It is killed with SIGKILL at a random moment; then the store is
opened again and every Warehouse runs what it finds due. Lost is an acknowledged push that no Freight
shows afterwards; doubled is Freight that was there before and is there twice.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kargo_lab.engine.lab import Lab
from kargo_lab.engine.store import Store
from kargo_lab.resources.artifacts import ImageDiscovery, ImageReference
from kargo_lab.resources.loading import Resources
from kargo_lab.resources.warehouse import ImageSubscription, Warehouse, WarehouseSpec

WAREHOUSES = 4


def lab_on(folder: Path) -> Lab:
    """A lab whose registry is a file: the number of the newest tag."""

    def discover(subscription: ImageSubscription, _context: Any) -> ImageDiscovery:
        number = (folder / "pushed").read_text()
        return ImageDiscovery(
            repo_url=subscription.repo_url, references=(ImageReference(tag=f"1.0.{number}", digest="sha256:0"),)
        )

    lab = Lab(store=Store(folder / "lab.db"), sources={"image": discover})
    spec = WarehouseSpec(subscriptions=(ImageSubscription(repo_url="r.example/web"),), interval_seconds=86400.0)
    lab.apply(Resources(warehouses=tuple(Warehouse(namespace="p", name=f"w{n}", spec=spec) for n in range(WAREHOUSES))))
    return lab


def live(folder: Path) -> None:
    """Push and refresh until killed."""
    lab = lab_on(folder).start()
    number = int((folder / "pushed").read_text())
    while True:
        number += 1
        (folder / "next").write_text(str(number))
        (folder / "next").replace(folder / "pushed")
        lab.warehouses.refresh([f"p/w{n}" for n in range(WAREHOUSES)], str(number))
        print(number, flush=True)


def kill_once(folder: Path, wait_seconds: float) -> int:
    """Let a child live so long; the last number that it acknowledged."""
    arguments = [sys.executable, __file__, "--live", str(folder)]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very file
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(wait_seconds)
    os.kill(child.pid, signal.SIGKILL)
    return int([first, *child.communicate()[0].split("\n")[:-1]][-1])


def main(kills: int, seed: int) -> int:
    """Kill, reopen, compare; the number of kills that lost or doubled something."""
    chance, bad, acknowledged = random.Random(seed), 0, 0  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pushed").write_text("0")
        for _ in range(kills):
            acknowledged = kill_once(folder, chance.uniform(0, 0.15))
            lab = lab_on(folder)
            lab.step()
            newest = {f"w{n}": lab.freight("p", origin=f"w{n}")[-1].images[0].tag for n in range(WAREHOUSES)}
            lost = [key for key, tag in newest.items() if int(tag.rpartition(".")[2]) < acknowledged]
            made = [(each.origin.name, each.images[0].tag) for each in lab.freight()]
            lab.close()
            bad += bool(lost) or len(made) != len(set(made))
    print(f"{kills} kills, {acknowledged} refreshes acknowledged, {bad} kills lost or doubled something, seed {seed}")
    return bad


if __name__ == "__main__":
    if sys.argv[1:2] == ["--live"]:
        live(Path(sys.argv[2]))
    sys.exit(min(1, main(int((sys.argv[1:] or ["200"])[0]), int((sys.argv[2:] or ["1"])[0]))))
