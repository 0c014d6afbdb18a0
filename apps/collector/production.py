"""Which environments' deployments are wanted whatever their age."""

from __future__ import annotations

import re
from typing import Any

from apps.collector.models import RawEnvironment
from apps.collector.reading import Place
from apps.orgmap.place import OrgMap


def production_environments(place: Place) -> list[dict[str, Any]]:
    """A query for each environment of tier production or that the project's rule takes for it."""
    pattern = re.compile(OrgMap.load().rules(place.path).production_environment)
    environments = RawEnvironment.objects.filter(project_id=place.project_id).order_by("name")
    return [
        {"environment": one.name, "status": "success"}
        for one in environments
        if one.tier == "production" or pattern.search(one.name)
    ]
