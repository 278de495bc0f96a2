"""Chart versions of one subscription: an index.yaml, or the tags of an OCI repository (discovery.md 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

from kargo_lab.errors import UpstreamError
from kargo_lab.resources.artifacts import ChartDiscovery
from kargo_lab.resources.warehouse import ChartSubscription
from kargo_lab.rules.references import Reference
from kargo_lab.selection import charts as selection
from kargo_lab.sources.chart_registry import ChartRegistry
from kargo_lab.sources.oci import checked
from kargo_lab.sources.outgoing import Outgoing
from kargo_lab.sources.shared import BEYOND_LIMIT, TAKEN, Context, Witness

_NULL = "tag:yaml.org,2002:null"
_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def discover(subscription: ChartSubscription, context: Context) -> ChartDiscovery:
    """The versions that the subscription takes, best first. Raises SelectionError or UpstreamError."""
    selector = context.shared.selector(subscription, selection.build)
    skip = subscription.insecure_skip_tls_verify and context.profile.chart_insecure_tls
    outgoing = Outgoing(
        ledger=context.ledger,
        clock=context.clock,
        warehouse=context.warehouse,
        subscription=context.subscription,
        verify_tls=not skip,
        header_timeout_seconds=context.profile.header_timeout_seconds,
        proxies=context.shared.proxies_for(context.shared.settings.registry_address(_host(selector))),
    )
    if selector.reference is not None:
        return discovery(selector, _registry(selector.reference, outgoing, context), context.witness)
    return discovery(selector, _classic(selector, outgoing, context), context.witness)


def discovery(
    selector: selection.ChartSelector, versions: Iterable[str], witness: Witness | None = None
) -> ChartDiscovery:
    """The result as status records it."""
    subscription, listed = selector.subscription, tuple(versions)
    ordered = selector.order(listed)
    if witness is not None:
        for version in listed:
            reason = selector.judge(version)
            shown = version.replace("_", "+") if selector.in_registry else version
            witness(version, reason if not reason else TAKEN if shown in ordered else BEYOND_LIMIT)
    return ChartDiscovery(
        repo_url=subscription.repo_url,
        name=subscription.chart_name,
        semver_constraint=subscription.semver_constraint,
        versions=ordered,
        subscription_name=subscription.name,
    )


def _host(selector: selection.ChartSelector) -> str:
    if selector.reference is not None:
        return selector.reference.host
    return selector.index_url.partition("://")[2].partition("/")[0]


def _registry(reference: Reference, outgoing: Outgoing, context: Context) -> tuple[str, ...]:
    address = context.shared.settings.registry_address(reference.host)
    registry = ChartRegistry(outgoing, address, reference.repository, context.credentials.login)
    return registry.versions(probe=context.profile.oci_probe)


def _classic(selector: selection.ChartSelector, outgoing: Outgoing, context: Context) -> list[str]:
    login = context.credentials.login
    headers = {"Authorization": login.basic} if login else {}
    reply = checked(outgoing.follow(selector.index_url, kind="index", redirected="moved", headers=headers))
    return index_versions(reply.body, selector.subscription.chart_name)


def index_versions(body: bytes, chart: str) -> list[str]:
    """The versions of a chart in an index file, as written there.

    Scalars keep their spelling, so `1.10` stays that. What is not read may be anything; what is read
    must have the right shape, and no key twice (CHT:79-105).
    """
    try:
        loader = _Loader(body)
        try:
            root = loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError) as error:
        # PyYAML passes a decoder's error on as it is.
        raise UpstreamError(f"the chart index is no YAML: {error}") from None
    except RecursionError:
        raise UpstreamError("the chart index is nested too deeply") from None
    entries = next((value for key, value in _members(root, "the index") if key == "entries"), None)
    found: list[str] = []
    for name, listed in list(_members(entries, "entries")):
        texts = [_version(entry, name) for entry in _elements(listed, name)]
        if name == chart:
            found = [text for text in texts if text is not None]
    return found


def _is_null(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _NULL)


def _members(node: yaml.Node | None, what: str) -> Iterator[tuple[str, yaml.Node]]:
    if _is_null(node):
        return
    if not isinstance(node, yaml.MappingNode):
        raise UpstreamError(f"{what} of the chart index is no mapping")
    seen: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        if name in seen:
            raise UpstreamError(f"{what} of the chart index names {name!r} twice")
        seen.add(name)
        yield name, value


def _elements(node: yaml.Node, chart: str) -> list[yaml.Node]:
    if _is_null(node):
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise UpstreamError(f"chart {chart!r} of the index is no list")
    return list(node.value)


def _version(entry: yaml.Node, chart: str) -> str | None:
    found = None
    for name, value in _members(entry, f"an entry of {chart!r}"):
        if name == "version" and not _is_null(value):
            if not isinstance(value, yaml.ScalarNode):
                raise UpstreamError(f"a version of chart {chart!r} is no text")
            found = str(value.value)
    return found
