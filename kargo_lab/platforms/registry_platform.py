"""A registry that wears a platform's persona: a real push to it makes that platform's hooks.

The registry tells what happened, the persona says what that platform would send, the corpus writes it, the
sender delivers it with that platform's patience. Nothing here decides anything.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from kargo_lab import payloads
from kargo_lab.errors import UsageError
from kargo_lab.payloads.corpus import values
from kargo_lab.platforms.habits import HABITS, Habit
from kargo_lab.platforms.hooks import Clock, DeliveryRow, Hook, Sender, SystemClock
from kargo_lab.platforms.losses import NO_LOSSES, Losses
from kargo_lab.platforms.oci.auth import BasicAuthority, BearerAuthority
from kargo_lab.platforms.oci.events import RegistryEvent
from kargo_lab.platforms.oci.hook_apis import hook_api
from kargo_lab.platforms.oci.personas import PERSONAS, HookCall, with_facts
from kargo_lab.platforms.outgoing import Outgoing, post
from kargo_lab.platforms.registry import Registry


class PlatformRegistry(Registry):
    """`Registry` with hooks, its settings and its way to authenticate those of `persona`.

    Without `users` everybody may do everything; with them, pulling is still open where `anonymous_pull`.
    `public_host` is what payloads call the registry, in place of the host that clients reach. `asynchronous` False
    starts no workers: call `sender.step()`, as on a virtual clock. All else is as in `Registry`.
    """

    def __init__(
        self,
        persona: str = "registry",
        *,
        users: Mapping[str, str] | None = None,
        anonymous_pull: bool = True,
        public_host: str = "",
        clock: Clock | None = None,
        habit: Habit | None = None,
        losses: Losses = NO_LOSSES,
        transport: Any = post,
        asynchronous: bool = True,
        **options: Any,
    ) -> None:
        if persona not in PERSONAS:
            raise UsageError(f"there is no registry {persona}; known are {', '.join(sorted(PERSONAS))}")
        self.persona = PERSONAS[persona]
        self.clock: Clock = clock or SystemClock()
        self.sender = Sender(habit or HABITS[self.persona.habit], clock=self.clock, losses=losses, transport=transport)
        self.public_host = public_host
        self._asynchronous, self._hooks, self._numbers = asynchronous, dict[int, Hook](), 0
        if users:
            options.setdefault("authority", self._authority(users, anonymous_pull))
        options.setdefault("settings", self.persona.settings)
        self.token = secrets.token_hex(16)  # an administrator's, for the API that registers hooks
        if (api := hook_api(self)) is not None:
            options["layers"] = (*options.get("layers", ()), api)
        super().__init__(now=self.clock.now, **options)
        self.subscribe(self._happened)

    def _authority(self, users: Mapping[str, str], anonymous_pull: bool) -> BasicAuthority | BearerAuthority:
        if not self.persona.token_path:
            return BasicAuthority(users, anonymous_pull=anonymous_pull)
        return BearerAuthority(
            users,
            anonymous_pull=anonymous_pull,
            service=self.persona.service,
            token_path=self.persona.token_path,
            now=self.clock.now,
        )

    def start(self) -> Self:
        """Serve, and begin to deliver."""
        super().start()
        if self._asynchronous:
            self.sender.start()
        return self

    def stop(self) -> None:
        """End both; what waits to be delivered is dropped."""
        super().stop()
        self.sender.stop()

    @property
    def deliveries(self) -> tuple[DeliveryRow, ...]:
        """Every attempt to deliver a hook."""
        return self.sender.rows

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """All registered hooks, in the order of their numbers."""
        return tuple(self._hooks.values())

    def add_hook(
        self, target: str = "", *, url: str, secret: str = "", events: Iterable[str] = (), level: str = "", **facts: Any
    ) -> Hook:
        """Register a hook at a repository, at an owner (project, organisation), or (no target) for all.

        `events` are the platform's names, or the common `push`, `pull`, `delete`; without any, its own default.
        `facts` are the other fields of `Hook`. `kind` is Harbor's format (`Default`, `CloudEvents`);
        `settings={"plain_secret": True}` makes Artifactory send the secret itself; `settings={"scope": "repo:tag"}`
        is ACR's.
        """
        self._numbers += 1
        level = level or ("repository" if "/" in target else "owner" if target else "system")
        now = self.clock.now()
        hook = Hook(
            id=self._numbers, target=target, url=url, secret=secret, level=level,
            events=self.persona.subscribed(tuple(events)), created_at=now, updated_at=now, **facts,
        )  # fmt: skip
        self._hooks[hook.id] = hook
        return hook

    def change_hook(self, hook_id: int, **changes: Any) -> Hook:
        """Replace fields of a hook; the new value."""
        hook = attrs.evolve(self._hooks[hook_id], updated_at=self.clock.now(), **changes)
        self._hooks[hook_id] = hook
        return hook

    def remove_hook(self, hook_id: int) -> bool:
        """True if there was one."""
        return self._hooks.pop(hook_id, None) is not None

    def redeliver(self, guid: str) -> None:
        """Send a past delivery once more."""
        self.sender.redeliver(guid)

    def _happened(self, event: RegistryEvent) -> None:
        for hook in self.hooks:
            told = attrs.evolve(event, host=self.public_host) if self.public_host else event
            for call in self.persona.calls(told, hook.kind):
                if wants(hook, call.event, event):
                    self._send(hook, write(hook, self._completed(hook, call, event), told))

    def _completed(self, hook: Hook, call: HookCall, event: RegistryEvent) -> HookCall:  # noqa: ARG002 -- for those who know more
        """The call with what only a registry with accounts and projects knows."""
        return call

    def _send(self, hook: Hook, outgoing: Outgoing) -> None:
        self.sender.send(hook, outgoing)


def wants(hook: Hook, name: str, event: RegistryEvent) -> bool:
    """True if an active hook asked for this event at this repository, and (ACR's scope) for this tag."""
    places = {
        "system": True,
        "owner": event.repository.startswith(f"{hook.target}/"),
        "repository": event.repository == hook.target,
    }
    scope, _, tag = str(hook.settings.get("scope", "")).partition(":")
    in_scope = not scope or (scope == event.repository and tag in ("", "*", event.tag))
    return hook.active and places[hook.level] and in_scope and bool({name, "*"} & set(hook.events))


def write(hook: Hook, call: HookCall, event: RegistryEvent) -> Outgoing:
    """The request of one delivery: from the corpus, with the facts of the push, signed as the platform signs."""
    guid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{event.id}/{event.tag}/{hook.id}/{call.event}"))
    file = payloads.load(call.corpus, call.payload, call.variant)
    given = _taken({**call.parameters, "delivery": guid}, file.parameters)
    request = file.request(values(file, call.corpus, given))
    request = attrs.evolve(request, body=with_facts(request.body, call.facts, indent=call.indent), signed=None)
    scheme = "artifactory-plain" if hook.settings.get("plain_secret") else ""
    request = payloads.sign(request, call.corpus, hook.authorization or hook.secret, scheme=scheme)
    return Outgoing(
        url=hook.url,
        headers=request.headers,
        body=request.body,
        method=request.method,
        event=call.event,
        action=event.action,
        about=event.repository,
        guid=guid,
        verify_tls=hook.verify_tls,
    )


# What the corpus computes other spellings from: given, if the file has one of these.
_SPELLINGS = {"repository": ("owner", "name"), "digest": ("digest_hex",), "time": ("time_", "day")}


def _taken(parameters: Mapping[str, str], known: tuple[str, ...]) -> dict[str, str]:
    """Those that a file of the corpus has a use for; it refuses the others."""
    return {
        name: value
        for name, value in parameters.items()
        if name in known or any(one.startswith(_SPELLINGS.get(name, ())) for one in known)
    }
