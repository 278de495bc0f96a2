"""A Kubernetes API server as the `kubernetes` target needs it: six calls for any kind, through the official client.

The client finds the server and proves who asks; the calls themselves are written on its `call_api`, so that all
kinds have one shape, and so that every answer that is not a success becomes a sentence which names the
object, the rule that was hurt and what to do. A server's own text about a Secret is left out: it may
quote what is in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import attrs

from kargo_lab.errors import LabError, UsageError

KARGO = "kargo.akuity.io"
_API = f"/apis/{KARGO}/v1alpha1"
_PAGE = 250  # objects in one answer of a list; Warehouses with a status are large


@attrs.frozen
class _Kind:
    """Where the API server keeps the objects of one kind."""

    prefix: str
    plural: str
    namespaced: bool = True


# https://kubernetes.io/docs/reference/using-api/api-concepts/ and the CRDs of Kargo's chart.
KINDS: Mapping[str, _Kind] = {
    "Namespace": _Kind("/api/v1", "namespaces", namespaced=False),
    "Secret": _Kind("/api/v1", "secrets"),
    "Project": _Kind(_API, "projects", namespaced=False),
    "ClusterConfig": _Kind(_API, "clusterconfigs", namespaced=False),
    "ProjectConfig": _Kind(_API, "projectconfigs"),
    "Warehouse": _Kind(_API, "warehouses"),
    "Freight": _Kind(_API, "freights"),
    "Promotion": _Kind(_API, "promotions"),
}


class ClusterError(LabError):
    """The API server refused, or did not answer. `status` is the HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def of_the_object(self) -> bool:
        """Whether the object itself is at fault, and others might be taken."""
        return self.status in (400, 422)


_ADVICE: Mapping[int, str] = {
    401: "the credentials of this context are not accepted",
    403: "the user of this context lacks the permission",
    404: "there is no such thing in this cluster",
    409: "it is there already, or was changed meanwhile",
    422: "the object does not fit its schema, or an admission webhook refuses it",
    429: "the API server asks to come back later",
}


class Cluster:
    """One API server, reached through one context of one kubeconfig."""

    def __init__(self, api: Any, context: str, timeout_seconds: float) -> None:
        self._api, self.context, self._timeout = api, context, timeout_seconds

    @classmethod
    def connect(cls, *, kubeconfig: str, context: str, timeout_seconds: float) -> Self:
        """The cluster of that context, and never of whichever happens to be current.

        Raises UsageError without the `kubernetes` package, without such a file, or without such a context.
        """
        try:
            from kubernetes import config
            from kubernetes.config.config_exception import ConfigException
        except ImportError:
            raise UsageError(
                "a kubernetes target needs the official client: pip install 'kargo-lab[kubernetes]'"
            ) from None
        if not context:
            raise UsageError("a kubernetes target needs `context:`; the current context is never taken silently")
        if kubeconfig and not Path(kubeconfig).expanduser().is_file():
            raise UsageError(f"there is no kubeconfig {kubeconfig}")
        try:
            api: Any = config.new_client_from_config(  # type: ignore[no-untyped-call]  # the package has no types here
                config_file=str(Path(kubeconfig).expanduser()) if kubeconfig else None, context=context
            )
        except ConfigException as error:
            raise UsageError(f"the context {context!r} cannot be used: {error}") from None
        api.configuration.retries = 0  # what hangs or dies is to be said, not tried again in silence
        return cls(type(api)(api.configuration), context, timeout_seconds)

    def close(self) -> None:
        """Let go of the connections."""
        self._api.rest_client.close()

    def version(self) -> str:
        """The API server's version, which also shows that it answers."""
        return str(self._call("GET", "/version", "the API server's version").get("gitVersion", ""))

    def serves(self, kind: str) -> bool:
        """Whether the API server knows the kind at all."""
        resources = self._found("GET", KINDS[kind].prefix, f"the resources of {KINDS[kind].prefix}") or {}
        return any(each.get("kind") == kind for each in resources.get("resources", ()))

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        """One object, or None."""
        return self._found("GET", _path(kind, namespace, name), _title(kind, namespace, name))

    def items(self, kind: str, namespace: str = "", *, label: str = "") -> Iterator[dict[str, Any]]:
        """All objects of a kind that carry the label, a page at a time; none where the kind is unknown."""
        query = {"limit": str(_PAGE), **({"labelSelector": label} if label else {})}
        while True:
            title = _title(kind, namespace, "*")
            page = self._found("GET", f"{_path(kind, namespace)}?{urlencode(query)}", title) or {}
            yield from page.get("items", ())
            if not (more := page.get("metadata", {}).get("continue")):
                return
            query["continue"] = more

    def create(self, document: Mapping[str, Any], *, rehearse: bool = False) -> dict[str, Any]:
        """Make a new object; with `rehearse` the API server does everything but keep it (dryRun=All)."""
        kind, metadata = document["kind"], document["metadata"]
        namespace = metadata.get("namespace", "")
        return self._call(
            "POST",
            f"{_path(kind, namespace)}?{_writing(rehearse)}",
            _title(kind, namespace, metadata["name"]),
            body=document,
        )

    def patch(
        self,
        kind: str,
        name: str,
        change: Mapping[str, Any],
        *,
        namespace: str = "",
        part: str = "",
        rehearse: bool = False,
    ) -> dict[str, Any]:
        """Merge a change into an object (RFC 7386), or into its `status` if that is the part."""
        path = "/".join(each for each in (_path(kind, namespace, name), part) if each)
        return self._call(
            "PATCH",
            f"{path}?{_writing(rehearse)}",
            _title(kind, namespace, name),
            body=change,
            content_type="application/merge-patch+json",
        )

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object, if it is there."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        self._found("DELETE", _path(kind, namespace, name), _title(kind, namespace, name), body=options)

    def _found(
        self, method: str, path: str, title: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        try:
            return self._call(method, path, title, body=body)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    def _call(
        self,
        method: str,
        path: str,
        title: str,
        *,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json", **({"Content-Type": content_type} if body is not None else {})}
        method, url, headers, _, _ = self._api.param_serialize(
            method, path, header_params=headers, query_params=[], auth_settings=["BearerToken"]
        )
        doing = f"{_DOING[method]} {title}"
        try:
            answer = self._api.call_api(method, url, headers, body, _request_timeout=self._timeout)
            text = answer.read()
        except HTTPError as error:
            raise ClusterError(
                f"{doing}: the API server of context {self.context} did not answer within {self._timeout:g} s "
                f"or could not be reached ({type(error).__name__})"
            ) from None
        try:
            document = json.loads(text) if text else {}
        except ValueError:
            document = {}
        if not 200 <= answer.status < 300:
            raise ClusterError(self._sentence(doing, title, answer.status, document), status=answer.status)
        if not isinstance(document, dict) or not document:
            raise ClusterError(f"{doing}: the API server of context {self.context} answered, but not with JSON")
        return document

    def _sentence(self, doing: str, title: str, status: int, document: Any) -> str:
        advice = _ADVICE.get(status, "the API server is in trouble" if status >= 500 else "refused")
        said = document.get("message", "") if isinstance(document, dict) else ""
        if title.startswith("Secret "):
            said = ""
        return f"{doing}: {status}, {advice}" + (f": {said}" if said else "")


_DOING = {"GET": "reading", "POST": "creating", "PATCH": "changing", "DELETE": "deleting"}


def _path(kind: str, namespace: str, name: str = "") -> str:
    place = KINDS[kind]
    parts = [place.prefix, *(["namespaces", namespace] if place.namespaced and namespace else []), place.plural, name]
    return "/".join(part for part in parts if part)


def _writing(rehearse: bool) -> str:
    # Unknown fields are refused as `kubectl apply` refuses them, and not dropped in silence.
    return urlencode(
        {"fieldManager": "kargo-lab", "fieldValidation": "Strict", **({"dryRun": "All"} if rehearse else {})}
    )


def _title(kind: str, namespace: str, name: str) -> str:
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
