"""Which projects have their facts built together: few enough for memory, many enough to spare statements."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

LARGEST = 30_000
"""Pipelines of one batch: about 300,000 jobs. A project that has more is a batch of its own."""

_WEIGHTS = """
    select chosen.project_id, count(p.pipeline_id) + 20 as weight
      from unnest(%(projects)s::bigint[]) as chosen (project_id)
      left join raw_pipeline p using (project_id)
     group by chosen.project_id
     order by weight desc, chosen.project_id
"""


def batches(projects: Iterable[int], *, largest: int = LARGEST) -> list[list[int]]:
    """Projects in batches of like size, the largest first: so workers end at about the same time."""
    with connection.cursor() as cursor:
        cursor.execute(_WEIGHTS, {"projects": list(projects)})
        weights = cursor.fetchall()
    count = max(1, -(-sum(weight for _, weight in weights) // largest))
    made = [Batch() for _ in range(min(count, len(weights)))]
    for project, weight in weights:
        made[0].take(project, weight)
        made.sort(key=lambda batch: batch.weight)
    return [batch.projects for batch in reversed(made)]


class Batch:
    """Projects, and how many pipelines they have together."""

    def __init__(self) -> None:
        self.projects: list[int] = []
        self.weight = 0

    def take(self, project: int, weight: int) -> None:
        self.projects.append(project)
        self.weight += weight
