"""What outlives a process: one SQLite file, in which a refresh is committed before its sender reads 200.

The journal is written ahead (WAL) and commits are flushed to the disk (synchronous=FULL), so neither a kill nor a
power cut loses anything that was acknowledged. Only statuses are not flushed at once: a kill loses none of them
either, and after a power cut a Warehouse is looked at once more. A fleet writes two of them in each pass, and whoever
waits for an answer would wait for their disk. `:memory:` is the same
store without the file, for tests and simulations.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import attrs

from kargo_lab.engine import freight as pieces
from kargo_lab.engine import status as statuses
from kargo_lab.engine.status import Status, timestamp
from kargo_lab.errors import StoreError
from kargo_lab.profiles import LATEST, Profile
from kargo_lab.resources import loading
from kargo_lab.resources.pipeline import Freight
from kargo_lab.resources.warehouse import Warehouse

APPLICATION_ID = 0x6B6C6162  # "klab", in the file's header
SCHEMA_VERSION = 1
BUSY_SECONDS = 10.0
FEW_TRIES = 50  # draws of a two-word alias before longer ones are drawn
_SCHEMA = """
CREATE TABLE warehouses (
    key TEXT PRIMARY KEY, spec TEXT NOT NULL, generation INTEGER NOT NULL, refresh TEXT, status TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE freight (
    namespace TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL, origin TEXT NOT NULL,
    ordinal INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX freight_by_ordinal ON freight (ordinal);
CREATE UNIQUE INDEX freight_by_alias ON freight (alias, namespace);
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, receiver TEXT NOT NULL, delivery_id TEXT NOT NULL,
    status INTEGER NOT NULL, document TEXT NOT NULL
);
CREATE INDEX deliveries_by_id ON deliveries (receiver, delivery_id) WHERE delivery_id <> '';
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, namespace TEXT NOT NULL, object TEXT NOT NULL,
    reason TEXT NOT NULL, message TEXT NOT NULL
);
CREATE TABLE objects (kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, key))
    WITHOUT ROWID;
"""


@attrs.frozen(kw_only=True)
class WarehouseRecord:
    """What the store knows of a Warehouse; `refresh` is the annotation's value, None if there is none."""

    generation: int
    refresh: str | None
    status: Status


@attrs.frozen(kw_only=True)
class DeliveryRecord:
    """One inbound delivery: no bodies, no signatures, nothing that could hold a secret.

    `receiver` is `namespace/name` of its configuration; `status` 0 means that there was no answer.
    `details` is plain data for people: what was refreshed, what was left alone and why.
    """

    time: datetime
    receiver: str
    type: str = ""
    delivery_id: str = ""
    status: int = 0
    seconds: float = 0.0
    bytes: int = 0
    refreshed: tuple[str, ...] = ()
    details: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class EventRecord:
    """One event as Kubernetes has them; `object` is `Warehouse/name` or `Freight/name`."""

    time: datetime
    namespace: str
    object: str
    reason: str
    message: str = ""


class Store:
    """One store; safe to use from any thread. Raises StoreError for a file that is not one of ours."""

    def __init__(self, path: str | Path = ":memory:", *, random: Random | None = None) -> None:
        self.path = str(path)
        self._lock, self._random = threading.RLock(), random or Random()  # noqa: S311 - names, not secrets
        # Statuses as values: reading one back from JSON is most of what a pass would cost.
        self._statuses: dict[str, Status] = {}
        self._on_disk, self._flushes = self.path != ":memory:", True
        try:
            self._connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS
            )
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be opened: {error}") from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"{self.path}: is no store of kargo-lab: {error}") from None
        except StoreError:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        ours = self._value("PRAGMA application_id")
        version = self._value("PRAGMA user_version")
        if ours == APPLICATION_ID:
            if version != SCHEMA_VERSION:
                raise StoreError(
                    f"{self.path}: has schema {version}, this kargo-lab reads {SCHEMA_VERSION}; "
                    "use the version that wrote it, or start with a new file"
                )
        elif ours or version or self._value("SELECT count(*) FROM sqlite_master"):
            raise StoreError(f"{self.path}: is a database of something else; choose another file")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        if ours != APPLICATION_ID:
            # One transaction, header included: a crash in the middle leaves an empty file, not half a store.
            self._connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
                f"{_SCHEMA} COMMIT;"
            )

    def _value(self, statement: str, *arguments: object) -> Any:
        row = self._connection.execute(statement, arguments).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _transaction(self, *, flushed: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing; on the disk when it ends, or with the next one that is flushed."""
        with self._lock:
            try:
                if flushed is not self._flushes:
                    self._connection.execute(f"PRAGMA synchronous={'FULL' if flushed else 'NORMAL'}")
                    self._flushes = flushed
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {error}") from None

    def _rows(self, statement: str, *arguments: object) -> list[Any]:
        with self._lock:
            try:
                return self._connection.execute(statement, arguments).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {error}") from None

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""
        with self._lock:
            self._connection.close()

    # Warehouses

    def apply(self, warehouses: Iterable[Warehouse]) -> tuple[Warehouse, ...]:
        """Store them as an API server would: the generation grows when a spec differs from the stored one.

        Warehouses that are not named are forgotten, with their status; their Freight stays.
        """
        given = tuple(warehouses)
        with self._transaction() as connection:
            known = {
                key: (spec, generation)
                for key, spec, generation in connection.execute("SELECT key, spec, generation FROM warehouses")
            }
            applied = []
            for warehouse in given:
                spec = _fingerprint(warehouse)
                if warehouse.key not in known:
                    self._statuses.pop(warehouse.key, None)  # of one that had this name, and is gone
                before, generation = known.pop(warehouse.key, (spec, 1))
                generation += before != spec
                connection.execute(
                    "INSERT INTO warehouses VALUES (?, ?, ?, NULL, '{}')"
                    " ON CONFLICT (key) DO UPDATE SET spec = excluded.spec, generation = excluded.generation",
                    (warehouse.key, spec, generation),
                )
                applied.append(attrs.evolve(warehouse, generation=generation))
            connection.executemany("DELETE FROM warehouses WHERE key = ?", ((key,) for key in known))
            for key in known:
                self._statuses.pop(key, None)
        return tuple(applied)

    def warehouse(self, key: str) -> WarehouseRecord | None:
        """What is known of one Warehouse."""
        rows = self._rows("SELECT generation, refresh, status FROM warehouses WHERE key = ?", key)
        if not rows:
            return None
        generation, refresh, text = rows[0]
        with self._lock:
            if key not in self._statuses:
                self._statuses[key] = statuses.from_json(json.loads(text))
            return WarehouseRecord(generation=generation, refresh=refresh, status=self._statuses[key])

    def put_status(self, key: str, status: Status) -> None:
        """Write the status of a Warehouse if it changed; one that is gone is left gone."""
        with self._lock:
            if self._statuses.get(key) == status:
                return
            if self._on_disk:
                document = _text(statuses.to_json(status))
                with self._transaction(flushed=False) as connection:
                    connection.execute("UPDATE warehouses SET status = ? WHERE key = ?", (document, key))
            self._statuses[key] = status

    def unhandled(self) -> tuple[str, ...]:
        """The Warehouses whose refresh token no pass has handled, by key."""
        rows = self._rows(
            "SELECT key, refresh, json_extract(status, '$.lastHandledRefresh') FROM warehouses"
            " WHERE refresh IS NOT NULL ORDER BY key"
        )
        with self._lock:
            held = self._statuses
            return tuple(
                key
                for key, refresh, handled in rows
                if refresh != (held[key].last_handled_refresh if key in held else handled)
            )

    def refresh(self, keys: Iterable[str], token: str) -> tuple[str, ...]:
        """Set the refresh token of these Warehouses; durable on return. The keys whose token changed."""
        with self._transaction() as connection:
            return self._refresh(connection, keys, token)

    @staticmethod
    def _refresh(connection: sqlite3.Connection, keys: Iterable[str], token: str) -> tuple[str, ...]:
        statement = "UPDATE warehouses SET refresh = ?1 WHERE key = ?2 AND refresh IS NOT ?1"
        return tuple(key for key in keys if connection.execute(statement, (token, key)).rowcount)

    # Freight

    def create_freight(self, piece: Freight, *, now: datetime, profile: Profile = LATEST) -> Freight | None:
        """Store a piece under the name that it gives itself, with an alias of its own; None if it exists.

        As the admission webhook does, the name is set here whatever was given, and alias, its label and the
        time of discovery where they are missing (WHF:123-158). A drawn alias is free in all namespaces, a given
        one has to be in its own.
        """
        name = pieces.freight_name(piece, profile=profile)
        exists = "SELECT 1 FROM freight WHERE namespace = ? AND name = ?"
        if self._rows(exists, piece.namespace, name):
            return None  # as in most passes; what follows asks again, for whoever else writes
        when = timestamp(now) or ""
        named = attrs.evolve(
            piece,
            name=name,
            created_at=when,
            discovered_at=(piece.discovered_at or when) if profile.freight_discovered_at else "",
        )
        with self._transaction() as connection:
            if connection.execute(exists, (named.namespace, named.name)).fetchone():
                return None
            twin = "SELECT 1 FROM freight WHERE alias = ? AND namespace = ?"
            if named.alias and connection.execute(twin, (named.alias, named.namespace)).fetchone():
                raise StoreError(f"the alias {named.alias!r} is taken")
            alias = named.alias or self._free_alias(connection)
            stored = attrs.evolve(named, alias=alias, labels={**named.labels, pieces.ALIAS_LABEL: alias})
            ordinal = connection.execute("SELECT ifnull(max(ordinal), 0) + 1 FROM freight").fetchone()[0]
            connection.execute(
                "INSERT INTO freight VALUES (?, ?, ?, ?, ?, ?)",
                (
                    stored.namespace,
                    stored.name,
                    stored.alias,
                    stored.origin.name,
                    ordinal,
                    _text(loading.plain(stored)),
                ),
            )
        return stored

    def _free_alias(self, connection: sqlite3.Connection) -> str:
        tries = 0
        while True:
            tries += 1
            drawn = pieces.alias(self._random) if tries <= FEW_TRIES else pieces.crowded_alias(self._random)
            if not connection.execute("SELECT 1 FROM freight WHERE alias = ?", (drawn,)).fetchone():
                return drawn

    def freight(self, namespace: str | None = None, *, origin: str | None = None) -> tuple[Freight, ...]:
        """Pieces in the order of their creation; of one namespace or Warehouse where given."""
        rows = self._rows(
            "SELECT document FROM freight WHERE (?1 IS NULL OR namespace = ?1) AND (?2 IS NULL OR origin = ?2)"
            " ORDER BY ordinal",
            namespace,
            origin,
        )
        return tuple(_freight(document) for (document,) in rows)

    def put_freight(self, piece: Freight) -> None:
        """Write a piece that exists again: its alias, labels and status may have changed."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE freight SET alias = ?, document = ? WHERE namespace = ? AND name = ?",
                (piece.alias, _text(loading.plain(piece)), piece.namespace, piece.name),
            )

    def delete_freight(self, namespace: str, name: str) -> bool:
        """Remove a piece; False if there was none."""
        with self._transaction() as connection:
            done = connection.execute("DELETE FROM freight WHERE namespace = ? AND name = ?", (namespace, name))
        return bool(done.rowcount)

    # Logs

    def record_delivery(self, record: DeliveryRecord) -> None:
        """Add a delivery to the log."""
        with self._transaction() as connection:
            self._insert_delivery(connection, record)

    @staticmethod
    def _insert_delivery(connection: sqlite3.Connection, record: DeliveryRecord) -> None:
        document = attrs.asdict(record) | {"time": record.time.isoformat()}
        connection.execute(
            "INSERT INTO deliveries (time, receiver, delivery_id, status, document) VALUES (?, ?, ?, ?, ?)",
            (document["time"], record.receiver, record.delivery_id, record.status, _text(document)),
        )

    def deliveries(self, *, limit: int = 1000) -> tuple[DeliveryRecord, ...]:
        """The newest deliveries, oldest of them first."""
        rows = self._rows("SELECT document FROM deliveries ORDER BY id DESC LIMIT ?", limit)
        return tuple(_delivery(document) for (document,) in reversed(rows))

    def delivered(self, receiver: str, delivery_id: str) -> bool:
        """True if a delivery of that ID was answered with 200 before."""
        statement = (
            "SELECT 1 FROM deliveries"
            " WHERE receiver = ? AND delivery_id = ? AND delivery_id <> '' AND status = 200 LIMIT 1"
        )
        return bool(self._rows(statement, receiver, delivery_id))

    def record_event(self, record: EventRecord) -> None:
        """Add an event."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO events (time, namespace, object, reason, message) VALUES (?, ?, ?, ?, ?)",
                (record.time.isoformat(), record.namespace, record.object, record.reason, record.message),
            )

    def events(self, *, limit: int = 1000) -> tuple[EventRecord, ...]:
        """The newest events, oldest of them first."""
        rows = self._rows("SELECT time, namespace, object, reason, message FROM events ORDER BY id DESC LIMIT ?", limit)
        return tuple(
            EventRecord(
                time=datetime.fromisoformat(time), namespace=namespace, object=name, reason=reason, message=message
            )
            for time, namespace, name, reason, message in reversed(rows)
        )

    def write(
        self, pieces: Iterable[Freight] = (), objects: Iterable[tuple[str, str, Mapping[str, Any] | None]] = ()
    ) -> None:
        """Freight that exists and plain data (kind, key, document; None deletes) together: all or nothing."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE freight SET alias = ?, document = ? WHERE namespace = ? AND name = ?",
                [(each.alias, _text(loading.plain(each)), each.namespace, each.name) for each in pieces],
            )
            for kind, key, document in objects:
                if document is None:
                    connection.execute("DELETE FROM objects WHERE kind = ? AND key = ?", (kind, key))
                else:
                    connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (kind, key, _text(document)))

    # Whatever else has a kind and a key: Stages, Promotions, statuses of receivers

    def put_object(self, kind: str, key: str, document: Mapping[str, Any]) -> None:
        """Write plain data under a kind and a key."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (kind, key, _text(document)))

    def objects(self, kind: str) -> dict[str, Any]:
        """All plain data of a kind, by key, in the order of the keys."""
        rows = self._rows("SELECT key, document FROM objects WHERE kind = ? ORDER BY key", kind)
        return {key: json.loads(document) for key, document in rows}


def _text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _fingerprint(warehouse: Warehouse) -> str:
    spec = attrs.asdict(warehouse.spec)
    # Two types of subscription may have the same fields; their type is part of what was written.
    kinds = [subscription.TYPE for subscription in warehouse.spec.subscriptions]
    return json.dumps([spec, kinds], sort_keys=True, default=str)


def _freight(document: str) -> Freight:
    piece = loading.stored(json.loads(document))
    assert isinstance(piece, Freight)  # noqa: S101 - only Freight is written there
    return piece


def _delivery(text: str) -> DeliveryRecord:
    document = json.loads(text)
    document["time"] = datetime.fromisoformat(document["time"])
    document["refreshed"] = tuple(document["refreshed"])
    return DeliveryRecord(**document)
