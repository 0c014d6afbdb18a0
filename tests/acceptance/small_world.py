"""Three projects on the plain GitLab, and what the metrics say of them, worked out by hand.

Hours are counted from the local midnight that begins yesterday, minus whole 24 h days; all of them lie
well inside their local day, so that a clock change moves no row into another day. The arithmetic of a like
example is told at length in `docs/worked-example.md`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.acceptance.plain_gitlab import World

ANN, BOB = (
    {"id": 11, "username": "ann", "name": "Ann", "state": "active"},
    {"id": 12, "username": "bob", "name": "Bob", "state": "active"},
)
ENGINE, CHECKOUT, SHOP = 101, 102, 103
ORG_FILE = """
org: Toman
business_lines:
  - {name: Exchange, groups: [toman/exchange], teams: [{name: Trading, groups: [toman/exchange/trading]}]}
  - {name: Core/Platform, groups: [toman/core], teams: [{name: Platform, groups: [toman/core/platform]}]}
  - {name: C-Side, groups: [toman/c-side], teams: [{name: App, groups: [toman/c-side/app]}]}
  - {name: Corporate Services, groups: [toman/corporate-services]}
root_groups: [toman/core, toman/corporate-services, toman/exchange, toman/c-side]
"""

EXPECTED = {
    "repo:toman/exchange/trading/engine": {
        "mr_throughput_wk": (3, 3),  # !1, !2, !4
        "mr_cycle_time_p50_h": (28, 2),  # 6 h and 50 h; !4 has no commits
        "mr_cycle_time_p90_h": (45.6, 2),  # 6 + 0.9 * 44
        "wip_mr_count": (2, 2),  # !3, !6
        "wip_age_p50_h": (159, 2),  # 252 h and 66 h
        "wip_age_p90_h": (233.4, 2),
        "approval_bypass_ratio": (0.5, 2),  # !1 went in with none of one
        "pipeline_success_rate": (0.6667, 6),  # 4 of 6; the cancelled one is left out
        "mean_time_to_green_h": (3, 1),  # #1 at 11:00, #2 at 14:00
        "deployment_frequency_wk": (2, 2),  # #2 and #6; #5 runs the SHA of #2 again
        "semver_valid_ratio": (None, 0),
    },
    "repo:toman/core/platform/checkout": {
        "mr_throughput_wk": (1, 1),
        "mr_cycle_time_p50_h": (6, 1),
        "wip_mr_count": (0, 0),
        "wip_age_p50_h": (None, 0),
        "approval_bypass_ratio": (1, 1),  # the author's own approval does not count
        "pipeline_success_rate": (1, 4),
        "mean_time_to_green_h": (None, 0),
        "deployment_frequency_wk": (3, 3),  # #13 before any tag, #14 for v1.0.0, #11 for v1.1.0
        "semver_valid_ratio": (0.5, 4),  # v1.0.0 and v1.1.0, not release-7, not 1.2
    },
    "team:App": {
        "mr_throughput_wk": (0, 0),
        "mr_cycle_time_p50_h": (None, 0),
        "approval_bypass_ratio": (None, 0),
        "deployment_frequency_wk": (4, 4),  # #20 before any deployment, #21 twice, one made through the API
        "pipeline_success_rate": (1, 3),
    },
    "business_line:Corporate Services": {"mr_throughput_wk": (0, 0), "pipeline_success_rate": (None, 0)},
    "org": {
        "mr_throughput_wk": (4, 4),
        "mr_cycle_time_p50_h": (6, 3),  # 6, 6 and 50 h
        "mr_cycle_time_p90_h": (41.2, 3),  # 6 + 0.8 * 44
        "approval_bypass_ratio": (0.6667, 3),
        "pipeline_success_rate": (0.8462, 13),  # 11 of 13
        "deployment_frequency_wk": (9, 9),
        "semver_valid_ratio": (0.5, 4),
        "wip_mr_count": (2, 2),
    },
}
"""Scope -> metric -> (value, n), for yesterday."""


def small_world(midnight: dt.datetime) -> World:
    """All answers of the plain GitLab. `midnight` is the instant at which yesterday began, local time."""

    def at(days_ago: int, hour: float) -> str:
        instant = midnight - dt.timedelta(days=days_ago) + dt.timedelta(hours=hour)
        return instant.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    world: World = {}
    _projects(world, at)
    _engine(world, at)
    _checkout(world, at)
    _shop(world, at)
    return world


def _projects(world: World, at: Any) -> None:
    paths = {
        ENGINE: "toman/exchange/trading/engine",
        CHECKOUT: "toman/core/platform/checkout",
        SHOP: "toman/c-side/app/shop",
    }
    for number, path in paths.items():
        project = {
            "id": number,
            "name": path.rsplit("/", 1)[1],
            "path_with_namespace": path,
            "default_branch": "main",
            "visibility": "private",
            "archived": False,
            "web_url": f"https://gitlab.example.org/{path}",
            "created_at": at(300, 9),
            "last_activity_at": at(0, 12),
            "namespace": {"kind": "group", "full_path": path.rsplit("/", 1)[0]},
        }
        world[f"/projects/{number}"] = project
        world.setdefault("/groups/" + "/".join(path.split("/")[:2]) + "/projects", []).append(project)
    for root in ("toman/corporate-services", "toman/exchange", "toman/core", "toman/c-side"):
        world.setdefault(f"/groups/{root}/projects", [])
        world[f"/groups/{root}"] = {"id": len(root), "full_path": root}


def _mr(
    world: World,
    project: int,
    iid: int,
    *,
    commits: list[str] | None = None,
    required: int = 0,
    approved: list | None = None,
    **row: Any,
) -> None:
    path = f"/projects/{project}/merge_requests"
    number = project * 100 + iid
    merged, closed = row.get("merged_at"), row.get("closed_at")
    shown = {
        "id": number,
        "iid": iid,
        "project_id": project,
        "title": f"Change {iid}",
        "author": ANN,
        "draft": False,
        "state": "merged" if merged else "closed" if closed else "opened",
        "merged_at": None,
        "closed_at": None,
        "updated_at": merged or closed or row["created_at"],
        "source_branch": f"change-{iid}",
        "target_branch": "main",
        "source_project_id": project,
        "target_project_id": project,
        "sha": f"{number:040x}",
        "labels": [],
        "merge_commit_sha": f"{number + 10**6:040x}" if merged else None,
        "squash_commit_sha": None,
        "user_notes_count": 0,
    } | row
    world.setdefault(path, []).append(shown)
    world[f"{path}/{iid}"] = shown | {"changes_count": "1"}
    world[f"{path}/{iid}/approvals"] = {
        "approvals_required": required,
        "approvals_left": 0,
        "approved": True,
        "approved_by": approved or [],
    }
    world[f"{path}/{iid}/commits"] = [
        {
            "id": f"{number * 100 + n:040x}",
            "authored_date": when,
            "committed_date": when,
            "created_at": when,
            "author_name": "Ann",
            "author_email": "ann@example.org",
            "title": "work",
            "message": "work",
            "parent_ids": [],
        }
        for n, when in enumerate(commits or [])
    ]
    world[f"{path}/{iid}/notes"] = []
    world[f"{path}/{iid}/versions"] = []


def _pipeline(
    world: World,
    project: int,
    number: int,
    status: str,
    sha: str,
    ref: str,
    created: str,
    finished: str | None = None,
    source: str = "push",
) -> None:
    path = f"/projects/{project}/pipelines"
    shown = {
        "id": number,
        "iid": number,
        "project_id": project,
        "sha": sha * 20,
        "ref": ref,
        "status": status,
        "source": source,
        "created_at": created,
        "updated_at": finished or created,
    }
    world.setdefault(path, []).append(shown)
    world[f"{path}/{number}"] = shown | {
        "started_at": created,
        "finished_at": finished or created,
        "duration": 60,
        "coverage": None,
    }
    world[f"{path}/{number}/jobs"] = []
    world[f"{path}/{number}/bridges"] = []


def _engine(world: World, at: Any) -> None:
    bob = [{"user": BOB, "approved_at": at(0, 11)}]
    _mr(world, ENGINE, 1, created_at=at(3, 10), merged_at=at(1, 10), commits=[at(3, 9), at(3, 8)], required=1)
    _mr(
        world,
        ENGINE,
        2,
        created_at=at(0, 7),
        merged_at=at(0, 12),
        commits=[at(0, 6)],
        required=1,
        approved=bob,
    )
    _mr(world, ENGINE, 3, created_at=at(10, 12), draft=True, commits=[at(10, 11)])
    _mr(world, ENGINE, 4, created_at=at(2, 14), merged_at=at(2, 15))
    _mr(world, ENGINE, 5, created_at=at(6, 10), closed_at=at(4, 10), commits=[at(6, 9)])
    _mr(world, ENGINE, 6, created_at=at(2, 6), commits=[at(2, 5)])
    _pipeline(world, ENGINE, 1, "failed", "a1", "main", at(2, 10), at(2, 11))
    _pipeline(world, ENGINE, 2, "success", "a2", "main", at(2, 12), at(2, 14))
    _pipeline(world, ENGINE, 3, "success", "b1", "change-1", at(1, 9))
    _pipeline(world, ENGINE, 4, "canceled", "a2", "main", at(1, 10))
    _pipeline(world, ENGINE, 5, "success", "a2", "main", at(1, 12), source="schedule")
    _pipeline(world, ENGINE, 6, "success", "a3", "main", at(0, 10), at(0, 10.5))
    _pipeline(world, ENGINE, 7, "failed", "b2", "change-6", at(0, 11))


def _checkout(world: World, at: Any) -> None:
    self_approved = [{"user": ANN, "approved_at": at(1, 7)}]
    _mr(
        world,
        CHECKOUT,
        7,
        created_at=at(1, 3),
        merged_at=at(1, 8),
        commits=[at(1, 2)],
        required=1,
        approved=self_approved,
    )
    _pipeline(world, CHECKOUT, 13, "success", "c0", "main", at(6, 9))
    _pipeline(world, CHECKOUT, 14, "success", "c1", "main", at(5, 10))
    _pipeline(world, CHECKOUT, 15, "success", "c2", "v1.1.0", at(1, 9.5), at(1, 10))
    _pipeline(world, CHECKOUT, 16, "success", "c3", "main", at(0, 12))
    tags = {
        "v1.0.0": ("c1", at(5, 9)),
        "release-7": ("c5", at(3, 9)),
        "v1.1.0": ("c2", at(1, 9)),
        "1.2": ("c6", at(0, 9)),
    }
    world[f"/projects/{CHECKOUT}/repository/tags"] = [
        {
            "name": name,
            "message": None,
            "target": sha * 20,
            "release": None,
            "commit": {
                "id": sha * 20,
                "committed_date": when,
                "authored_date": when,
                "created_at": when,
                "parent_ids": [],
            },
        }
        for name, (sha, when) in tags.items()
    ]
    world[f"/projects/{CHECKOUT}/releases"] = [
        {
            "tag_name": "v1.1.0",
            "name": "1.1",
            "released_at": at(1, 9),
            "created_at": at(1, 9),
            "commit": {"id": "c2" * 20},
        }
    ]


def _shop(world: World, at: Any) -> None:
    world[f"/projects/{SHOP}/merge_requests"] = []
    _pipeline(world, SHOP, 20, "success", "d0", "main", at(3, 9))
    _pipeline(world, SHOP, 21, "success", "d1", "main", at(2, 9), at(2, 10))
    _pipeline(world, SHOP, 22, "success", "d2", "main", at(1, 9))
    environment = {"id": 5, "name": "live", "slug": "live", "tier": "production", "state": "available"}
    world[f"/projects/{SHOP}/environments"] = [environment]

    def deployed(number: int, pipeline: int | None, sha: str, when: str) -> dict[str, Any]:
        job = {
            "id": 900 + number,
            "name": "deploy",
            "status": "success",
            "finished_at": when,
            "pipeline": {"id": pipeline},
        }
        return {
            "id": number,
            "iid": number,
            "status": "success",
            "sha": sha * 20,
            "ref": "main",
            "environment": environment,
            "created_at": when,
            "updated_at": when,
            "deployable": job if pipeline else None,
        }

    world[f"/projects/{SHOP}/deployments"] = [
        deployed(1, 21, "d1", at(2, 10)),
        deployed(2, 21, "d1", at(0, 9)),
        deployed(3, None, "d9", at(0, 15)),
    ]
