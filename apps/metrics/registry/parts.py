"""What several rows of the table share: the entities they need, and why a project may not be measured."""

from __future__ import annotations

from apps.metrics.words import Aggregate, Metric

MR, CI, ISSUES = ("merge_requests",), ("pipelines",), ("issues",)
ISSUE_STATES = (*ISSUES, "issues_closed", "issues_reopened")
MR_DETAILS = ("merge_requests", "merge_request_details")
TIERLESS = """
    select project_id, 'not_on_this_tier'
      from fact_mr
     where merged_at is not null
     group by project_id
    having count(approvals_required) = 0
"""
# A deployment that we may not see could turn the default rule from one kind of evidence to another.
UNSEEN = """
    select level_id, unavailable
      from ingestion_state
     where level = 'project' and entity = 'deployments' and unavailable = 'no_access'
"""


def percentiles(key: str, title: str, **columns: object) -> tuple[Metric, Metric]:
    """The median and the 90th percentile of one sample."""
    return (
        Metric(key=f"{key}_p50_h", title=f"{title} (median)", aggregate=Aggregate.P50, **columns),  # type: ignore[arg-type]
        Metric(key=f"{key}_p90_h", title=f"{title} (90th percentile)", aggregate=Aggregate.P90, **columns),  # type: ignore[arg-type]
    )
