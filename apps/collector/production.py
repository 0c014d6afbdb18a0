"""Which environments' deployments are wanted whatever their age."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from apps.collector.models import RawDeployment, RawEnvironment
from apps.collector.reading import Place
from apps.orgmap.place import OrgMap


def has_new_environment(project_id: int, since: dt.datetime) -> bool:
    """Whether something was deployed to an environment that we do not know."""
    known = RawEnvironment.objects.filter(project_id=project_id).values("name")
    deployed = RawDeployment.objects.filter(project_id=project_id, environment__isnull=False)
    return deployed.exclude(environment__in=known).exists()


def production_environments(place: Place) -> list[dict[str, Any]]:
    """A query for each environment of tier production or that the project's rule takes for it."""
    pattern = re.compile(OrgMap.load().rules(place.path).production_environment)
    environments = RawEnvironment.objects.filter(project_id=place.project_id).order_by("name")
    return [
        {"environment": one.name, "status": "success"}
        for one in environments
        if one.tier == "production" or pattern.search(one.name)
    ]
