"""The registry's storage: pages of tags, links to content, and changes that happen together or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kargo_lab.platforms.oci.storage import Storage, StoredManifest, digest_of, digest_of_file, is_digest
from kargo_lab.platforms.oci.uploads import Uploads

DIGEST = digest_of(b"{}")
TAGS = st.lists(st.text(alphabet="aB.-_10", min_size=1, max_size=4), unique=True, max_size=12)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path)
    yield storage
    storage.close()


@given(tags=TAGS, size=st.integers(1, 5), lexical=st.booleans())
def test_pages_put_together_are_the_whole_in_its_order(tags: list[str], size: int, lexical: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(Path(folder))
        for tag in tags:
            storage.tag("a", tag, DIGEST)
        pages, last = [], ""
        while page := storage.tags("a", last=last, limit=size, lexical=lexical):
            pages += page
            last = page[-1]
        storage.close()
    assert pages == (sorted(tags) if lexical else tags)


def fail_halfway(storage: Storage) -> None:
    with storage.transaction():
        storage.tag("a", "v1", DIGEST)
        with storage.transaction():
            storage.put_blob("b", b"x")
        raise KeyError


def test_what_fails_halfway_did_not_happen(storage: Storage) -> None:
    with pytest.raises(KeyError):
        fail_halfway(storage)
    assert (storage.repositories(), storage.tags("a")) == ([], [])
    storage.tag("a", "v1", DIGEST)
    assert storage.tags("a") == ["v1"]


def test_content_lives_as_long_as_somebody_links_to_it(storage: Storage) -> None:
    for repository in ("a", "b"):
        digest = storage.put_blob(repository, b"x")
    gone = []
    for repository in ("a", "b"):
        storage.delete_blob(repository, digest)
        gone.append(not storage.path(digest).exists())
    assert gone == [False, True]


def test_a_manifest_and_a_blob_may_share_their_bytes(storage: Storage) -> None:
    storage.put_blob("a", b"{}")
    storage.put_manifest("a", StoredManifest(DIGEST, 2, "x/y"), b"{}")
    storage.delete_blob("a", DIGEST)
    assert storage.read_manifest(DIGEST) == b"{}"


def test_a_blob_is_found_wherever_it_is(storage: Storage) -> None:
    storage.put_blob("somewhere", b"{}")
    assert (storage.blob_anywhere(DIGEST), storage.blob_anywhere(digest_of(b""))) == (("somewhere", 2), None)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_upload_knows_its_digest_also_in_the_other_algorithm(tmp_path: Path, algorithm: str) -> None:
    upload = Uploads(tmp_path).begin("a", algorithm)
    (tmp_path / "bytes").write_bytes(b"some bytes")
    with (tmp_path / "bytes").open("rb") as stream:
        assert upload.append(stream) == 10
    assert all(upload.matches(digest_of(b"some bytes", one)) for one in ("sha256", "sha512"))
    assert not upload.matches(digest_of(b"others", algorithm))


def test_a_file_and_its_bytes_have_one_digest(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    assert digest_of_file(tmp_path / "file", "sha512") == digest_of(b"x" * 100_000, "sha512")


@given(st.text(max_size=80))
def test_only_digests_are_digests(text: str) -> None:
    assert not is_digest(text)
    assert not is_digest(DIGEST + "\n")
