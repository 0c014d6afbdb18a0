"""Tells people, over every channel they gave (`TEM_NOTIFY_URLS`): Slack, mail, PagerDuty and others.

Channels are Apprise's. Their addresses are secrets: a channel is called by its service and a short digest.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from dataclasses import dataclass

import structlog
from apprise import Apprise, NotifyType
from django.conf import settings

from apps.runs import alerts
from apps.runs.models import Alert
from tem import clock

logging.getLogger("apprise").disabled = True  # it quotes addresses
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Channel:
    """One address that is told. `name` may be shown to anybody."""

    name: str
    address: str

    def tell(self, *, title: str, body: str, is_good: bool = False) -> bool:
        """Send, and answer whether it was taken; Apprise waits a few seconds at most."""
        plugin = Apprise.instantiate(self.address)
        if not plugin:
            return False
        kind = NotifyType.SUCCESS if is_good else NotifyType.WARNING
        try:
            return bool(plugin.notify(title=title, body=body, notify_type=kind))
        except Exception as error:  # of some service's plugin: the other channels are told all the same
            log.error("channel failed", channel=self.name, error=type(error).__name__)
            return False


def channels() -> list[Channel]:
    """Those that are set, in their order."""
    return [Channel(_name(address), address) for address in settings.TEM_NOTIFY_URLS]


def _name(address: str) -> str:
    plugin = Apprise.instantiate(address)
    service = plugin.service_name if plugin else "unknown service"
    return f"{service} {hashlib.sha256(address.encode()).hexdigest()[:8]}"


def deliver(*, now: dt.datetime) -> int:
    """Send what is due to every channel that has not got it; answers how many alerts everybody has got.

    One channel that fails keeps no other from being told: it is tried again later, alone. Safe beside others
    that do the same; should one of us die between sending and entering, a channel is told twice.
    """
    targets, settled = channels(), 0
    for alert in alerts.due(now=now) if targets else ():
        if not alerts.take(alert, now=now):
            continue
        kind, told = alerts.KINDS[alert.kind], dict(alert.told)
        for channel in targets:
            good = kind is alerts.DEADLINE_MET_LATE
            if channel.name not in told and channel.tell(title=title(kind), body=body(alert), is_good=good):
                told[channel.name] = clock.now().isoformat()
        missing = [channel for channel in targets if channel.name not in told]
        alerts.enter(alert, told=told, failed=bool(missing))
        settled += not missing
    return settled


def title(kind: alerts.Kind) -> str:
    return f"TEM: {kind.headline}"


def body(alert: Alert) -> str:
    """What happened, the run's page, and what to do about it."""
    page = f"{settings.TEM_PUBLIC_URL.rstrip('/')}/admin/runs/run/{alert.run_id}/change/"
    run = [f"Run: {page}"] if alert.run_id else []
    return "\n".join([alert.text, *run, f"What to do: {runbook(alerts.KINDS[alert.kind])}"])


def runbook(kind: alerts.Kind) -> str:
    """The address of a kind's page, where TEM_RUNBOOKS_URL says; else its path in the project."""
    return f"{(settings.TEM_RUNBOOKS_URL or 'runbooks').rstrip('/')}/{kind.runbook}"
