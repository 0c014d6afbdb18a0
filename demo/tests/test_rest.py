"""The checklist of a fake GitLab, over real HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from demo.tests.conftest import ENGINE, Gitlab

CHECKOUT = "projects/toman%2Fcore%2Fplatform%2Fcheckout"


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_bad_token_is_refused(gitlab: Gitlab, token: str) -> None:
    answer = gitlab.get("version", token=token)
    assert (answer.status, answer.json) == (401, {"message": "401 Unauthorized"})


def test_pages_are_clamped_and_linked(gitlab: Gitlab) -> None:
    page = gitlab.get(f"{ENGINE}/pipelines?per_page=500")
    assert len(page.json) == 100 and page.header("x-per-page") == "100"
    following = re.search(r'<([^>]+)>; rel="next"', page.header("link") or "")
    assert following and following[1].startswith(gitlab.url)
    second = gitlab.get(following[1].removeprefix(gitlab.url))
    assert second.header("X-Page") == "2" and second.json[0]["id"] < page.json[-1]["id"]
    assert len(gitlab.get(f"{ENGINE}/pipelines").json) == 20


def test_header_names_have_mixed_case(gitlab: Gitlab) -> None:
    names = {name for name, _ in gitlab.get(f"{ENGINE}/issues").headers}
    assert {"X-Page", "x-per-page"} <= names


def test_commits_are_never_counted(gitlab: Gitlab) -> None:
    page = gitlab.get(f"{ENGINE}/repository/commits")
    assert page.header("x-total") is None and "last" not in (page.header("link") or "")
    assert page.header("x-next-page") == "2"
    assert gitlab.get(f"{ENGINE}/issues").header("x-total") is not None


def test_deep_offsets_are_refused_where_keyset_works(gitlab: Gitlab) -> None:
    assert gitlab.get(f"{ENGINE}/jobs?per_page=100&page=501").status == 405
    assert gitlab.get(f"{ENGINE}/pipelines?per_page=100&page=501").json == []
    assert gitlab.get(f"{ENGINE}/pipelines?pagination=keyset&order_by=id").status == 405


def test_keyset_reads_all_jobs_once(gitlab: Gitlab) -> None:
    path, found = f"/api/v4/{ENGINE}/jobs?pagination=keyset&per_page=100&order_by=id", []
    while path:
        page = gitlab.get(path)
        found += [job["id"] for job in page.json]
        match = re.search(r'<([^>]+)>; rel="next"', page.header("link") or "")
        path = match[1].removeprefix(gitlab.url) if match else ""
    assert found == sorted(set(found), reverse=True)
    assert len(found) == len(gitlab.everything(f"{ENGINE}/jobs"))


def test_bounds_on_updated_at_are_inclusive(gitlab: Gitlab) -> None:
    one = gitlab.get(f"{ENGINE}/merge_requests?order_by=updated_at&sort=asc").json[7]
    at = one["updated_at"]
    found = gitlab.get(f"{ENGINE}/merge_requests?updated_after={at}&updated_before={at}").json
    assert one["id"] in {row["id"] for row in found} and {row["updated_at"] for row in found} == {at}
    after = gitlab.everything(f"{ENGINE}/merge_requests?updated_after={at}&order_by=updated_at&sort=asc")
    assert {row["id"] for row in found} <= {row["id"] for row in after}
    assert [row["updated_at"] for row in after] == sorted(row["updated_at"] for row in after)


def test_deployment_filters_must_be_paired(gitlab: Gitlab) -> None:
    assert gitlab.get(f"{ENGINE}/deployments?updated_after=2026-05-01T00:00:00Z").status == 400
    good = "order_by=finished_at&status=success&finished_after=2026-05-01T00:00:00Z"
    rows = gitlab.get(f"{ENGINE}/deployments?{good}&environment=production").json
    assert rows and all(row["environment"]["name"] == "production" for row in rows)
    assert gitlab.get(f"{ENGINE}/deployments?{good}&updated_after=2026-05-01T00:00:00Z").status == 400


def test_nonsense_is_a_bad_request(gitlab: Gitlab) -> None:
    for query in ("order_by=colour", "updated_after=yesterday", "sort=up", "state=odd"):
        assert gitlab.get(f"{ENGINE}/merge_requests?{query}").status == 400


def test_retried_jobs_are_hidden_unless_asked_for(gitlab: Gitlab) -> None:
    for pipeline in gitlab.everything(f"{ENGINE}/pipelines"):
        path = f"{ENGINE}/pipelines/{pipeline['id']}/jobs?per_page=100"
        shown, all_ = gitlab.get(path).json, gitlab.get(f"{path}&include_retried=true").json
        names = [job["name"] for job in shown]
        assert len(names) == len(set(names))
        if len(all_) > len(shown):
            return
    pytest.fail("no job was ever retried")


def test_child_pipelines_show_only_when_asked_for(gitlab: Gitlab) -> None:
    children = gitlab.everything(f"{ENGINE}/pipelines?source=parent_pipeline")
    shown = {row["id"] for row in gitlab.everything(f"{ENGINE}/pipelines")}
    assert children and not shown & {row["id"] for row in children}


def test_what_is_not_there_is_not_found(gitlab: Gitlab) -> None:
    assert gitlab.get("projects/toman%2Fnothing").json == {"message": "404 Project Not Found"}
    assert gitlab.get(f"{ENGINE}/merge_requests/999999").status == 404
    commits = gitlab.everything(f"{ENGINE}/repository/commits")
    answers = {
        gitlab.get(f"{ENGINE}/repository/commits/{row['id']}/signature").status for row in commits[:60]
    }
    assert answers == {200, 404}


def test_odd_projects(gitlab: Gitlab) -> None:
    rows = {row["path"]: row for row in gitlab.everything("groups/toman/projects?include_subgroups=true")}
    assert rows["old-gateway"]["archived"] and rows["sunset"]["marked_for_deletion_on"]
    assert rows["blank-slate"]["empty_repo"] and rows["blank-slate"]["default_branch"] is None
    empty = f"projects/{rows['blank-slate']['id']}/repository"
    assert gitlab.get(f"{empty}/commits").json == {"message": "404 Repository Not Found"}
    assert gitlab.get(f"{empty}/branches").json == []
    assert gitlab.get(f"projects/{rows['runbooks']['id']}/merge_requests").status == 403
    assert "hsm-keys" not in rows
    assert gitlab.get("projects/toman%2Fexchange%2Fcustody%2Fhsm-keys").json == {
        "message": "404 Project Not Found"
    }
    assert not any("." in row["namespace"]["full_path"] for row in rows.values()), "a fork is in no group"


def test_a_group_lists_its_guests_unless_told_not_to(gitlab: Gitlab) -> None:
    path = "groups/toman/projects?include_subgroups=true"
    guests = {row["path_with_namespace"] for row in gitlab.everything(path)} - {
        row["path_with_namespace"] for row in gitlab.everything(f"{path}&with_shared=false")
    }
    assert guests == {"partners/rate-cards"}


def test_an_issue_that_moved_away_is_closed(gitlab: Gitlab) -> None:
    rows = gitlab.everything("groups/toman/issues?scope=all&state=closed")
    moved = [row for row in rows if row["moved_to_id"]]
    assert moved and all(row["closed_at"] for row in moved)


def test_comparing_two_commits(gitlab: Gitlab) -> None:
    rows = gitlab.get(f"{ENGINE}/repository/commits?first_parent=true&per_page=5").json
    found = gitlab.get(f"{ENGINE}/repository/compare?from={rows[-1]['id']}&to={rows[0]['id']}").json
    between = [row["id"] for row in found["commits"]]
    assert {row["id"] for row in rows[:-1]} <= set(between) and rows[-1]["id"] not in between
    assert found["commit"]["id"] == rows[0]["id"] == between[-1]
    assert gitlab.get(f"{ENGINE}/repository/compare?from=main").status == 400


def test_a_moved_project_redirects(gitlab: Gitlab) -> None:
    answer = gitlab.get("projects/toman%2Flegacy%2Fcheckout/issues?state=opened")
    number = gitlab.get(CHECKOUT).json["id"]
    assert answer.status == 301
    assert answer.header("location") == f"{gitlab.url}/api/v4/projects/{number}/issues?state=opened"


def test_values_that_surprise(gitlab: Gitlab) -> None:
    rows = gitlab.everything(f"{CHECKOUT}/merge_requests?state=merged")
    old = [row for row in rows if row["merged_at"] is None]
    assert old and old[0]["author"]["username"] == "ghost" and old[0]["merge_user"] is None
    assert all(row["id"] > 2**31 for row in rows)
    detail = gitlab.get(f"{CHECKOUT}/merge_requests/{rows[0]['iid']}").json
    assert isinstance(detail["changes_count"], str) and "changes_count" not in rows[0]
    commit = gitlab.get(f"{CHECKOUT}/repository/commits?with_stats=true").json[0]
    assert re.search(r"\+0[12]:00$", commit["committed_date"]) and commit["stats"]["total"] >= 0


def test_merge_base_and_commit_walks(gitlab: Gitlab) -> None:
    rows = gitlab.everything(f"{ENGINE}/repository/commits")
    merge = next(row for row in rows if len(row["parent_ids"]) == 2)
    refs = "&".join(f"refs[]={sha}" for sha in merge["parent_ids"])
    base = gitlab.get(f"{ENGINE}/repository/merge_base?{refs}").json["id"]
    below = {
        row["id"]
        for row in gitlab.everything(f"{ENGINE}/repository/commits?ref_name={merge['parent_ids'][1]}")
    }
    assert base in below and merge["id"] not in below
    mainline = gitlab.everything(f"{ENGINE}/repository/commits?first_parent=true")
    assert len(mainline) < len(rows)


def test_events_are_bounded_by_days(gitlab: Gitlab) -> None:
    rows = gitlab.everything(f"{ENGINE}/events?action=pushed&after=2026-05-10&before=2026-05-13")
    assert {row["created_at"][:10] for row in rows} == {"2026-05-11", "2026-05-12"}
    approved = gitlab.get(f"{ENGINE}/events?action=approved&target_type=merge_request").json
    assert approved and all(row["target_type"] == "MergeRequest" for row in approved)


def test_group_sweeps(gitlab: Gitlab) -> None:
    rows = gitlab.everything("groups/toman%2Fexchange/merge_requests?scope=all&state=merged")
    assert len({row["project_id"] for row in rows}) >= 2
    assert gitlab.get("groups/toman%2Fexchange/issues?scope=all").json
    assert gitlab.get("merge_requests").json == [] and gitlab.get("merge_requests?scope=all").json


def test_a_sweep_tells_what_changed_anywhere_but_in_archives(gitlab: Gitlab) -> None:
    projects = gitlab.everything("groups/toman/projects?include_subgroups=true&with_shared=false")
    since = "2026-04-12T10:00:00Z"
    narrow = f"scope=all&state=all&updated_after={since}&order_by=updated_at&sort=asc"
    for kind, off in (("merge_requests", "merge_requests_enabled"), ("issues", "issues_enabled")):
        swept = gitlab.everything(f"groups/toman/{kind}?{narrow}")
        assert [row["updated_at"] for row in swept] == sorted(row["updated_at"] for row in swept)
        live = {row["id"]: not row["archived"] for row in projects if row[off]}
        assert {row["project_id"] for row in swept} <= {one for one, alive in live.items() if alive}
        alone = [row for one in live for row in gitlab.everything(f"projects/{one}/{kind}?{narrow}")]
        assert [row["id"] for row in swept if live[row["project_id"]]] == [
            row["id"] for row in sorted(alone, key=lambda row: (row["updated_at"], row["id"]))
            if live[row["project_id"]]
        ]  # fmt: skip
        everything = gitlab.everything(f"groups/toman/{kind}?{narrow}&non_archived=false")
        assert {row["id"] for row in everything} == {row["id"] for row in alone}
        assert len(everything) > len(swept)


def test_every_route_answers(gitlab: Gitlab) -> None:
    made = gitlab.get(f"{ENGINE}/merge_requests?state=merged").json[0]["iid"]
    issue = gitlab.get(f"{ENGINE}/issues").json[0]["iid"]
    deployment = gitlab.get(f"{ENGINE}/deployments").json[0]["id"]
    below = [
        *(f"merge_requests/{made}{part}" for part in ("", "/approvals", "/approval_state", "/commits",
        "/versions",
          "/notes", "/discussions", "/closes_issues", "/resource_state_events", "/resource_label_events",
          "/pipelines")),
        *(f"issues/{issue}{part}" for part in ("", "/notes", "/closed_by", "/resource_state_events",
          "/resource_label_events")),
        f"deployments/{deployment}", f"deployments/{deployment}/merge_requests", "environments", "releases",
        "protected_branches", "repository/tags", "repository/branches/main",
    ]  # fmt: skip
    for path in [*(f"{ENGINE}/{part}" for part in below), "user", "metadata", "personal_access_tokens/self",
                 "groups", "groups/toman", "projects?pagination=keyset&order_by=id",
                 "users/102"]:  # fmt: skip
        assert gitlab.get(path).status == 200, path


def test_the_free_tier_does_not_tell_what_is_required(start: Callable[..., Gitlab]) -> None:
    free = start("--tier", "free")
    answer = free.get(f"{ENGINE}/merge_requests/5/approvals").json
    assert set(answer) == {"user_has_approved", "user_can_approve", "approved", "approved_by"}
    errors = free.graphql('{project(fullPath:"x"){mergeRequest(iid:"1"){approvalsRequired}}}')["errors"]
    assert errors[0]["message"] == "Field 'approvalsRequired' doesn't exist on type 'MergeRequest'"
