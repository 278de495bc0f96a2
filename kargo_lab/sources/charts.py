"""Chart versions of one subscription: an index.yaml, or the tags of an OCI repository (discovery.md 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs
import yaml

from kargo_lab.errors import UpstreamError
from kargo_lab.resources.artifacts import ChartDiscovery
from kargo_lab.resources.warehouse import ChartSubscription
from kargo_lab.rules.references import Reference
from kargo_lab.selection import charts as selection
from kargo_lab.sources.chart_registry import ChartRegistry, KnownHost
from kargo_lab.sources.lean import Question
from kargo_lab.sources.oci import NOT_MODIFIED, checked
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
        connections=context.shared.connections,
    )
    if selector.reference is not None:
        return discovery(selector, _registry(selector.reference, outgoing, context, skip=skip), context.witness)
    return discovery(selector, _classic(selector, outgoing, context, skip=skip), context.witness)


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


def _registry(reference: Reference, outgoing: Outgoing, context: Context, *, skip: bool) -> tuple[str, ...]:
    address = context.shared.settings.registry_address(reference.host)
    login = context.credentials.login
    if (lean := context.shared.lean) is None:
        return ChartRegistry(outgoing, address, reference.repository, login).versions(probe=context.profile.oci_probe)
    how = Question(kind="tags", source=address, rest=("chart", reference.repository, skip, context.credentials))
    known = lean.lasting(attrs.evolve(how, kind="session"), context, KnownHost)
    registry = ChartRegistry(outgoing, address, reference.repository, login, known)
    return lean.seen(how, context, lambda _: registry.versions(probe=context.profile.oci_probe))


@attrs.frozen(kw_only=True)
class _Index:
    versions: Mapping[str, tuple[str, ...]]
    etag: str
    modified: str


def _classic(selector: selection.ChartSelector, outgoing: Outgoing, context: Context, *, skip: bool) -> tuple[str, ...]:
    login = context.credentials.login
    headers = {"Authorization": login.basic} if login else {}

    def ask(last: _Index | None) -> _Index:
        known = {"If-None-Match": last.etag, "If-Modified-Since": last.modified} if last is not None else {}
        asked = {**headers, **{name: value for name, value in known.items() if value}}
        reply = outgoing.follow(selector.index_url, kind="index", redirected="moved", headers=asked)
        if last is not None and reply.status == NOT_MODIFIED:
            return last
        versions = index_entries(checked(reply).body)
        return _Index(versions=versions, etag=reply.header("etag"), modified=reply.header("last-modified"))

    if (lean := context.shared.lean) is None:
        index = ask(None)
    else:
        how = (selector.index_url, skip, context.credentials)
        index = lean.seen(Question(kind="index", source=_host(selector), rest=how), context, ask)
    return index.versions.get(selector.subscription.chart_name, ())


def index_versions(body: bytes, chart: str) -> list[str]:
    """The versions of a chart in an index file, as written there."""
    return list(index_entries(body).get(chart, ()))


def index_entries(body: bytes) -> Mapping[str, tuple[str, ...]]:
    """The versions of each chart in an index file, as written there.

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
    found: dict[str, tuple[str, ...]] = {}
    for name, listed in _members(entries, "entries"):
        texts = [_version(entry, name) for entry in _elements(listed, name)]
        found[name] = tuple(text for text in texts if text is not None)
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
