"""The store: what it keeps, what it refuses, and what a crash leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import attrs
import pytest

from kargo_lab.engine import freight
from kargo_lab.engine.status import Condition, Status
from kargo_lab.engine.store import APPLICATION_ID, DeliveryRecord, EventRecord, Store
from kargo_lab.errors import StoreError
from kargo_lab.profiles import PROFILES
from kargo_lab.resources.artifacts import Commit, CommitDiscovery, DiscoveredArtifacts, Observation
from kargo_lab.resources.pipeline import Freight, FreightImage, Origin
from kargo_lab.resources.warehouse import ImageSubscription, Warehouse, WarehouseSpec

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def warehouse(name: str = "w", url: str = "r.example/web") -> Warehouse:
    spec = WarehouseSpec(subscriptions=(ImageSubscription(repo_url=url),))
    return Warehouse(namespace="p", name=name, spec=spec)


def piece(tag: str = "1") -> Freight:
    images = (FreightImage(repo_url="r.example/web", tag=tag, digest="sha256:0"),)
    return Freight(namespace="p", name="", origin=Origin(name="w"), images=images)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lab.db"


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    opened = Store(":memory:" if request.param == "memory" else path, random=Random(1))
    yield opened
    opened.close()


def test_a_warehouse_begins_with_generation_one(store: Store) -> None:
    assert store.apply([warehouse()])[0].generation == 1


def test_an_edited_spec_raises_the_generation(store: Store) -> None:
    store.apply([warehouse()])
    assert store.apply([warehouse(url="r.example/api")])[0].generation == 2


def test_an_edit_of_metadata_does_not(store: Store) -> None:
    store.apply([warehouse()])
    assert store.apply([attrs.evolve(warehouse(), labels={"a": "b"})])[0].generation == 1


def test_a_warehouse_that_is_not_named_is_forgotten(store: Store) -> None:
    store.apply([warehouse()])
    store.put_status("p/w", Status(last_handled_refresh="t"))
    store.apply([])
    assert store.warehouse("p/w") is None
    store.apply([warehouse()])
    record = store.warehouse("p/w")
    assert record is not None
    assert record.status == Status()


def test_a_refresh_names_those_whose_token_changed(store: Store) -> None:
    store.apply([warehouse("a"), warehouse("b")])
    store.refresh(["p/a"], "t")
    assert store.refresh(["p/a", "p/b", "p/gone"], "t") == ("p/b",)


def test_everything_is_there_after_opening_again(path: Path) -> None:
    status = Status(
        conditions=(Condition(type="Ready", status="True", reason="R", generation=3, last_transition=NOW),),
        last_handled_refresh="t",
        observed_generation=3,
        last_freight_id="f",
        discovered=DiscoveredArtifacts(
            discovered_at=NOW,
            git=(CommitDiscovery(repo_url="g", commits=(Commit(id="1"),), observed=Observation(tags=())),),
        ),
    )
    first = Store(path)
    first.apply([warehouse()])
    first.refresh(["p/w"], "token")
    first.put_status("p/w", status)
    created = first.create_freight(piece(), now=NOW)
    first.close()
    again = Store(path)
    record = again.warehouse("p/w")
    assert record is not None
    assert (record.refresh, record.status, again.freight()) == ("token", status, (created,))
    again.close()


def test_freight_gets_its_own_name_an_alias_and_times(store: Store) -> None:
    created = store.create_freight(attrs.evolve(piece(), name="mine"), now=NOW)
    assert created is not None
    assert created.name == freight.freight_name(piece())
    assert (created.created_at, created.discovered_at) == ("2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z")
    assert created.alias.count("-") == 1


def test_before_v1_11_freight_has_no_time_of_discovery(store: Store) -> None:
    created = store.create_freight(piece(), now=NOW, profile=PROFILES["v1.10"])
    assert created is not None
    assert created.discovered_at == ""


def test_the_same_freight_is_created_once(store: Store) -> None:
    store.create_freight(piece(), now=NOW)
    assert store.create_freight(piece(), now=NOW) is None


def test_deleted_freight_can_be_created_again(store: Store) -> None:
    created = store.create_freight(piece(), now=NOW)
    assert created is not None
    assert store.delete_freight("p", created.name)
    assert store.create_freight(piece(), now=NOW) is not None


def test_a_thousand_aliases_are_all_different(store: Store) -> None:
    made = [store.create_freight(piece(str(number)), now=NOW) for number in range(300)]
    assert len({each.alias for each in made if each}) == 300


def test_an_alias_that_is_taken_is_refused(store: Store) -> None:
    store.create_freight(attrs.evolve(piece("1"), alias="own-one"), now=NOW)
    with pytest.raises(StoreError, match="own-one"):
        store.create_freight(attrs.evolve(piece("2"), alias="own-one"), now=NOW)


def test_freight_is_listed_by_origin_and_namespace(store: Store) -> None:
    mine = store.create_freight(piece(), now=NOW)
    store.create_freight(attrs.evolve(piece(), namespace="q"), now=NOW)
    assert store.freight("p", origin="w") == (mine,)
    assert store.freight("p", origin="other") == ()


def test_deliveries_are_kept_in_order(store: Store) -> None:
    for status in (200, 401):
        store.record_delivery(DeliveryRecord(time=NOW, receiver="p/r", status=status, refreshed=("p/w",)))
    assert [each.status for each in store.deliveries()] == [200, 401]


def test_a_delivery_counts_as_seen_once_it_was_answered_well(store: Store) -> None:
    store.record_delivery(DeliveryRecord(time=NOW, receiver="p/r", delivery_id="1", status=500))
    assert not store.delivered("p/r", "1")
    store.record_delivery(DeliveryRecord(time=NOW, receiver="p/r", delivery_id="1", status=200))
    assert store.delivered("p/r", "1")
    assert not store.delivered("p/other", "1")


def test_events_are_kept(store: Store) -> None:
    event = EventRecord(time=NOW, namespace="p", object="Freight/f", reason="FreightCreated", message="m")
    store.record_event(event)
    assert store.events() == (event,)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be read as the header of one " * 20)
    with pytest.raises(StoreError, match="is no store"):
        Store(path)


def test_a_database_of_something_else_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    with pytest.raises(StoreError, match="something else"):
        Store(path)


def test_a_store_of_another_version_is_refused(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="schema 99"):
        Store(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)


def test_every_commit_is_flushed_to_the_disk(path: Path) -> None:
    store = Store(path)
    found = [store._value(f"PRAGMA {name}") for name in ("application_id", "journal_mode", "synchronous")]
    store.close()
    assert found == [APPLICATION_ID, "wal", 2]
