"""Merge requests, issues and activity as GitLab's REST answers; the other answers join here."""

from __future__ import annotations

from typing import Any

from demo.closing import SITE
from demo.entities import Event, Issue, LabelEvent, MergeRequest, Note, Project, StateEvent, Version
from demo.render_ci import CiAnswers
from demo.render_company import Raw, encode, kept
from demo.repository import number_of
from demo.times import SECOND, iso

__all__ = ["Render", "encode"]
TIME_STATS = {
    "time_estimate": 0,
    "total_time_spent": 0,
    "human_time_estimate": None,
    "human_total_time_spent": None,
}


class Render(CiAnswers):
    """Turns entities of one world into answers."""

    @kept
    def merge_request(self, made: MergeRequest) -> dict[str, Any]:
        return self.merge_request_fields(made)

    def merge_request_fields(self, made: MergeRequest) -> dict[str, Any]:
        """As in the lists: no sizes, no approvals."""
        project, author = made.project, self.user(made.author)
        user = self.user(made.merge_user)
        reference = f"{project.path}!{made.iid}"
        return {
            "id": made.id, "iid": made.iid, "project_id": project.id, "title": made.title,
            "description": made.description.replace(SITE, self.url), "state": made.state,
            "created_at": iso(made.created),
            "updated_at": iso(made.updated), "merged_by": user, "merge_user": user,
            "merged_at": iso(made.merged),
            "closed_by": self.user(made.closed_by), "closed_at": iso(made.closed),
            "target_branch": made.target_branch, "source_branch": made.source_branch,
            "user_notes_count": sum(note.action is None for note in made.notes), "upvotes": 0, "downvotes": 0,
            "author": author, "assignees": [author], "assignee": author,
            "reviewers": [self.user(one) for one in made.reviewers],
            "source_project_id": made.source_project_id,
            "target_project_id": project.id, "labels": made.labels, "draft": made.draft, "imported": False,
            "imported_from": "none", "work_in_progress": made.draft, "milestone": None,
            "merge_when_pipeline_succeeds": False, "merge_status": "can_be_merged",
            "detailed_merge_status": "mergeable" if made.state == "opened" else "not_open",
            "merge_after": None, "sha": made.sha, "merge_commit_sha": made.merge_commit_sha,
            "squash_commit_sha": made.squash_commit_sha, "discussion_locked": None,
            "should_remove_source_branch": True if made.merged and made.removes_branch else None,
            "force_remove_source_branch": made.removes_branch, "prepared_at": iso(made.created + 4 * SECOND),
            "reference": f"!{made.iid}",
            "references": {"short": f"!{made.iid}", "relative": f"!{made.iid}", "full": reference},
            "web_url": f"{self.web(project)}/-/merge_requests/{made.iid}", "time_stats": TIME_STATS,
            "squash": made.squash, "squash_on_merge": made.squash,
            "task_completion_status": {"count": 0, "completed_count": 0}, "has_conflicts": False,
            "blocking_discussions_resolved": True, "approvals_before_merge": None,
        }  # fmt: skip

    def merge_request_detail(self, made: MergeRequest) -> dict[str, Any]:
        """A single one: with size (text!) and pipeline."""
        last = made.pipelines[-1] if made.pipelines else None
        base = made.versions[-1].base if made.versions else None
        return {
            **self.merge_request_fields(made), "subscribed": False,
            "changes_count": "1000+" if made.files > 1000 else str(made.files) if made.versions else None,
            "latest_build_started_at": iso(last.started) if last else None,
            "latest_build_finished_at": iso(last.finished) if last else None,
            "first_deployed_to_production_at": iso(made.deployed),
            "pipeline": self.pipeline(last) if last else None,
            "head_pipeline": self.pipeline_detail(last) if last else None,
            "diff_refs": {"base_sha": base, "head_sha": made.sha, "start_sha": base}, "merge_error": None,
            "first_contribution": False, "user": {"can_merge": False},
        }  # fmt: skip

    def approvals(self, made: MergeRequest) -> dict[str, Any]:
        """What is required and what is left is known to licensed servers only."""
        given = [{"user": self.user(user), "approved_at": iso(at)} for user, at in made.approvals]
        left = max(0, made.required - len(given))
        common = {"user_has_approved": False, "user_can_approve": False, "approved_by": given}
        if not self.premium:
            return {**common, "approved": bool(given)}
        return {
            "id": made.id, "iid": made.iid, "project_id": made.project.id, "title": made.title,
            "description": made.description.replace(SITE, self.url), "state": made.state,
            "created_at": iso(made.created),
            "updated_at": iso(made.updated), "merge_status": "can_be_merged", "approved": not left, **common,
            "approvals_required": made.required, "approvals_left": left, "require_password_to_approve": False,
            "suggested_approvers": [], "approvers": [], "approver_groups": [], "approval_rules_left": [],
            "has_approval_rules": True, "merge_request_approvers_available": True,
            "multiple_approval_rules_available": True,
        }  # fmt: skip

    def approval_state(self, made: MergeRequest) -> dict[str, Any]:
        approved = [self.user(user) for user, _ in made.approvals]
        rule = {
            "id": made.id + 1, "name": "All Members", "rule_type": "any_approver", "eligible_approvers": [],
            "approvals_required": made.required, "users": [], "groups": [], "contains_hidden_groups": False,
            "approved_by": approved, "source_rule": None, "approved": len(approved) >= made.required,
            "overridden": False,
        }  # fmt: skip
        return {"approval_rules_overwritten": False, "rules": [rule]}

    def version(self, made: MergeRequest, version: Version) -> dict[str, Any]:
        return {
            "id": version.id, "head_commit_sha": version.head, "base_commit_sha": version.base,
            "start_commit_sha": version.base, "created_at": iso(version.at), "merge_request_id": made.id,
            "state": "collected", "real_size": str(made.files), "patch_id_sha": version.head[::-1],
        }  # fmt: skip

    def note(self, owner: MergeRequest | Issue, note: Note) -> Any:
        if note.json is None:
            note.json = Raw(encode(self._note(owner, note)))
        return note.json

    def _note(self, owner: MergeRequest | Issue, note: Note) -> dict[str, Any]:
        threaded = note.type is not None
        found = {
            "id": note.id, "type": note.type, "body": note.body, "attachment": None,
            "author": self.user(note.author),
            "created_at": iso(note.at), "updated_at": iso(note.at), "system": note.action is not None,
            "noteable_id": owner.id, "noteable_type": type(owner).__name__, "project_id": owner.project.id,
            "resolvable": threaded, "confidential": note.internal, "internal": note.internal,
            "imported": False, "imported_from": "none", "noteable_iid": owner.iid, "commands_changes": {},
        }  # fmt: skip
        if threaded:
            found |= {"resolved": False, "resolved_by": None, "resolved_at": None}
        return found

    def state_event(self, owner: MergeRequest | Issue, event: StateEvent) -> dict[str, Any]:
        return {
            "id": event.id, "user": self.user(event.user), "created_at": iso(event.at),
            "resource_type": type(owner).__name__, "resource_id": owner.id, "state": event.state,
            "source_commit": None, "source_merge_request_id": None,
        }  # fmt: skip

    def label_event(self, owner: MergeRequest | Issue, event: LabelEvent) -> dict[str, Any]:
        label = {"id": number_of(event.label), "name": event.label, "color": "#428BCA", "description": None}
        return {
            "id": event.id, "user": self.user(event.user), "created_at": iso(event.at),
            "resource_type": type(owner).__name__, "resource_id": owner.id, "label": label,
            "action": event.action,
        }  # fmt: skip

    @kept
    def issue(self, issue: Issue) -> dict[str, Any]:
        project, assignee = issue.project, self.user(issue.assignee)
        return {
            "id": issue.id, "iid": issue.iid, "project_id": project.id, "title": issue.title,
            "description": "",
            "state": issue.state, "created_at": iso(issue.created), "updated_at": iso(issue.updated),
            "closed_at": iso(issue.closed), "closed_by": self.user(issue.closed_by), "labels": issue.labels,
            "milestone": None, "assignees": [assignee], "author": self.user(issue.author),
            "type": issue.type.upper(),
            "assignee": assignee, "user_notes_count": 0, "merge_requests_count": 0, "upvotes": 0,
            "downvotes": 0,
            "due_date": None, "confidential": issue.confidential, "discussion_locked": None,
            "issue_type": issue.type, "web_url": f"{self.web(project)}/-/issues/{issue.iid}",
            "time_stats": TIME_STATS, "task_completion_status": {"count": 0, "completed_count": 0},
            "has_tasks": False, "severity": "UNKNOWN", "moved_to_id": issue.moved_to, "imported": False,
            "imported_from": "none",
            "references": {"short": f"#{issue.iid}", "relative": f"#{issue.iid}",
            "full": f"{project.path}#{issue.iid}"},
            "service_desk_reply_to": None,
        }  # fmt: skip

    def event(self, project: Project, event: Event) -> dict[str, Any]:
        target = event.target
        found = {
            "id": event.id, "project_id": project.id, "action_name": event.name,
            "target_id": target.id if target else None, "target_iid": target.iid if target else None,
            "target_type": event.target_type, "author_id": event.author.id,
            "target_title": target.title if target else None, "created_at": iso(event.at),
            "author": self.user(event.author), "imported": False, "imported_from": "none",
            "author_username": event.author.username,
        }  # fmt: skip
        if event.push:
            found["push_data"] = event.push
        return found
