"""What every page says about the numbers on it: how fresh, how complete, by which rules, of which world."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Max, Min, Q

from apps.collector.exclusions import Coverage, coverage
from apps.exports.models import Artifact
from apps.exports.wording import figure, local
from apps.metrics.models import MetricDaily
from apps.metrics.quality import Quality, quality
from apps.orgmap.models import Organisation
from apps.orgmap.place import OrgMap
from apps.runs.models import Run, RunStep

_WORDS = {"done": "complete", "partial": "partial", "failed": "failed"}


@dataclass(frozen=True)
class Standing:
    """Freshness, coverage and rules, as the header shows them."""

    last: Run | None
    active: Run | None
    steps_done: int
    steps: int
    coverage: Coverage | None
    org: str
    rules_version: int | None
    first_day: dt.date | None
    last_day: dt.date | None
    is_demo: bool
    quality: Quality

    @property
    def last_finished(self) -> str:
        return local(self.last.finished_at) if self.last else ""

    @property
    def coverage_percent(self) -> str:
        ratio = self.coverage.ratio if self.coverage else None
        return "" if ratio is None else figure(Decimal(str(ratio)), "ratio")

    @property
    def parity(self) -> str:
        """The share of checks that agreed, with its interval."""
        found = self.quality.parity
        if found is None:
            return ""
        ratio, low, high = (figure(Decimal(str(x)), "ratio") for x in (found.ratio, *found.interval))
        return f"{ratio} of {found.checks} checks agree with GitLab (95 %: {low} to {high})"

    @property
    def zone(self) -> str:
        return settings.TEM_TIMEZONE

    @property
    def last_state(self) -> str:
        return _WORDS.get(self.last.state, self.last.state) if self.last else ""


def standing(*, now: dt.datetime) -> Standing:
    """The state of the house at `now`; every field is empty in a house without a run."""
    active = Run.objects.filter(state=Run.State.ACTIVE).order_by("id").first()
    steps = RunStep.objects.filter(run=active).aggregate(
        all=Count("id"), ended=Count("id", filter=~Q(state__in=[RunStep.State.PENDING, RunStep.State.LEASED]))
    )
    org = OrgMap.load() if Organisation.objects.exists() else None
    days = MetricDaily.objects.aggregate(first=Min("day"), last=Max("day"))
    return Standing(
        last=Run.objects.exclude(state=Run.State.ACTIVE).order_by("-finished_at", "-id").first(),
        active=active,
        steps_done=steps["ended"],
        steps=steps["all"],
        coverage=coverage(now=now) if org else None,
        org=org.name if org else "",
        rules_version=org.version if org else None,
        first_day=days["first"],
        last_day=days["last"],
        is_demo=getattr(settings, "TEM_DEMO", False),
        quality=quality(),
    )


def published(day: dt.date) -> list[str]:
    """The formats in which the day can be downloaded."""
    return sorted(set(Artifact.objects.filter(day=day).values_list("format", flat=True)), reverse=True)
