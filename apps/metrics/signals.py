"""Why an entity counts as what it counts as: the signal that decided and the version of the rules by which.

One row a kind of entity, where its facts keep them.
"""

from __future__ import annotations

from typing import NamedTuple

from django.db import connection

SIGNALS = {
    "deployment": """
        select project_id, deployment_key as entity_id,
               signal || case when is_rollback then ', rollback ' || rollback_signal else '' end as signal,
               rules_version
          from fact_deployment
    """,
    "mr": """
        select project_id, mr_id::text as entity_id,
               coalesce(approvals_given || ' of ' || approvals_required || ' approvals', 'approvals unknown')
                   || coalesce(', ' || review_rounds || ' rounds', '')
                   || coalesce(', ' || force_pushes || ' force pushes', '') as signal,
               rules_version
          from fact_mr
    """,
    "delivery": """
        select d.project_id, d.issue_id::text as entity_id,
               '!' || m.iid || ' by ' || d.deployment_key
                   || case when f.inferred then ', inferred from when it was made' else '' end as signal,
               m.rules_version
          from fact_delivery d
          join fact_mr m using (mr_id)
          join fact_mr_deployment f using (mr_id)
    """,
    "issue": """
        select project_id, issue_id::text as entity_id,
               coalesce('target ' || sla_ms / 3600000 || ' h', 'no target')
                   || case when is_bug then ', bug' else '' end
                   || coalesce(', escaped by ' || escaped_by, '') as signal,
               rules_version
          from fact_issue
    """,
}
"""Kind -> SQL for (project_id, entity_id, signal, rules_version)."""


class Signal(NamedTuple):
    """What decided, in words, and the rules version in force when it was decided."""

    said: str
    rules_version: int | None


NO_SIGNAL = Signal("", None)


def signals_of(kind: str, *, project: int, ids: list[str]) -> dict[str, Signal]:
    """Entity id -> its signal, for entities of one project; empty for kinds whose facts keep none."""
    if kind not in SIGNALS:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"select entity_id, signal, rules_version from ({SIGNALS[kind]}) s"
            " where project_id = %s and entity_id = any(%s)",
            [project, ids],
        )
        return {entity: Signal(said, version) for entity, said, version in cursor.fetchall()}
