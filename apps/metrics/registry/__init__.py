"""THE metric table, a module a competency. Definitions are those of METRICS.md section 3; nothing else names
a metric."""

from __future__ import annotations

from apps.metrics.registry.code_review import CODE_REVIEW
from apps.metrics.registry.devops import DEVOPS
from apps.metrics.registry.extra import EXTRA
from apps.metrics.registry.git import GIT
from apps.metrics.registry.observability import OBSERVABILITY
from apps.metrics.words import Metric

METRICS: tuple[Metric, ...] = (*DEVOPS, *GIT, *CODE_REVIEW, *OBSERVABILITY, *EXTRA)

_BY_KEY = {metric.key: metric for metric in METRICS}


def by_key(key: str) -> Metric:
    """The metric of that key. Raises KeyError, whose message lists the keys there are."""
    try:
        return _BY_KEY[key]
    except KeyError:
        raise KeyError(f"{key} is no metric; there are: {', '.join(_BY_KEY)}") from None
