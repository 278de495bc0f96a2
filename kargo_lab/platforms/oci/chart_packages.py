"""Helm charts as archives, packaged by us so that `helm` would accept them and the bytes never vary.

Pure: the same arguments give the same bytes, hence the same digests in an index and in a registry.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

import attrs
import yaml

CONFIG_MEDIA_TYPE = "application/vnd.cncf.helm.config.v1+json"
CONTENT_MEDIA_TYPE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no name, no date, made on an unknown system
_STORED = 65535  # the largest stored block of deflate

_TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-{{ .Chart.Name }}
data:
  version: {{ .Chart.Version | quote }}
"""


@attrs.frozen
class ChartPackage:
    """`metadata` is Chart.yaml as a mapping; `archive` the `.tgz`."""

    metadata: Mapping[str, Any]
    archive: bytes

    @property
    def file_name(self) -> str:
        """As `helm package` names the file."""
        return f"{self.metadata['name']}-{self.metadata['version']}.tgz"

    @property
    def config(self) -> bytes:
        """The config blob of the OCI form: Chart.yaml as JSON."""
        return json.dumps(dict(self.metadata), separators=(",", ":")).encode()


def package_chart(
    name: str, version: str, *, app_version: str = "", description: str = "", values: str = ""
) -> ChartPackage:
    """Make an application chart with one ConfigMap. `values` is the text of values.yaml."""
    metadata: dict[str, Any] = {"apiVersion": "v2", "name": name, "version": version, "type": "application"}
    metadata["description"] = description or f"A chart that proves that {name} was found"
    if app_version:
        metadata["appVersion"] = app_version
    files = {
        "Chart.yaml": yaml.safe_dump(metadata, sort_keys=False),
        "values.yaml": values or "{}\n",
        "templates/configmap.yaml": _TEMPLATE,
    }
    return ChartPackage(metadata, gzip(tar({f"{name}/{path}": text.encode() for path, text in files.items()})))


def tar(files: Mapping[str, bytes]) -> bytes:
    """A tar archive without dates, owners or anything else that differs between two machines."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive_file:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            archive_file.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def gzip(content: bytes) -> bytes:
    """Gzip without compression: compressors differ between builds of zlib, and digests may not."""
    pieces = [content[at : at + _STORED] for at in range(0, len(content), _STORED)] or [b""]
    blocks = b"".join(
        struct.pack("<BHH", index == len(pieces) - 1, len(piece), len(piece) ^ 0xFFFF) + piece
        for index, piece in enumerate(pieces)
    )
    return _GZIP_HEADER + blocks + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
