"""Entities as GitLab's REST answers, with its keys. Settled entities keep their encoded form until they
change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from demo.entities import (
    Commit,
    Deployment,
    Environment,
    Event,
    Group,
    Issue,
    Job,
    LabelEvent,
    MergeRequest,
    Note,
    Pipeline,
    Project,
    Release,
    StateEvent,
    Tag,
    User,
    Version,
)  # fmt: skip
from demo.job_times import seen
from demo.projects import project_fields
from demo.times import SECOND, iso, iso_zoned
from demo.world import World

encode = msgspec.json.Encoder().encode
Raw = msgspec.Raw
TIME_STATS = {
    "time_estimate": 0,
    "total_time_spent": 0,
    "human_time_estimate": None,
    "human_total_time_spent": None,
}
RUNNER = {
    "id": 12270807, "description": "shared-1", "ip_address": None, "active": True, "paused": False,
    "is_shared": True, "runner_type": "instance_type", "name": "gitlab-runner", "online": True,
    "status": "online",
}  # fmt: skip


def kept(make: Callable[[Render, Any], dict[str, Any]]) -> Callable[[Render, Any], Any]:
    """Encode once; `entity.json` is emptied by whoever changes the entity."""

    def cached(self: Render, entity: Any) -> Any:
        if entity.json is None:
            entity.json = Raw(encode(make(self, entity)))
        return entity.json

    return cached


class Render:
    """Turns entities of one world into answers."""

    def __init__(self, world: World, *, url: str, premium: bool) -> None:
        self.world, self.url, self.premium = world, url, premium
        self._users: dict[int, Raw] = {}

    def web(self, project: Project) -> str:
        """The address of the project's page."""
        return f"{self.url}/{project.path}"

    def user(self, user: User | None) -> Any:
        """As embedded in other answers: no bot flag, no address."""
        if user is None:
            return None
        if (found := self._users.get(user.id)) is None:
            found = self._users[user.id] = Raw(encode(self._user(user)))
        return found

    def _user(self, user: User) -> dict[str, Any]:
        return {
            "id": user.id, "username": user.username, "name": user.name, "state": user.state, "locked": False,
            "avatar_url": f"https://secure.gravatar.com/avatar/{user.id:032x}?s=80&d=identicon",
            "web_url": f"{self.url}/{user.username}",
        }  # fmt: skip

    def user_detail(self, user: User) -> dict[str, Any]:
        """A single user: here GitLab says who is a bot."""
        return {
            **self._user(user), "created_at": iso(self.world.start), "bio": "", "location": None,
            "public_email": None,
            "bot": user.bot, "followers": 0, "following": 0, "job_title": "", "organization": None,
            "website_url": "", "linkedin": "", "twitter": "", "skype": "",
        }  # fmt: skip

    def group(self, group: Group) -> dict[str, Any]:
        parents = []
        at: Group | None = group
        while at:
            parents.append(at.name)
            at = at.parent
        return {
            "id": group.id, "name": group.name, "path": group.path, "full_path": group.full_path,
            "full_name": " / ".join(reversed(parents)),
            "parent_id": group.parent.id if group.parent else None,
            "web_url": f"{self.url}/groups/{group.full_path}", "visibility": "private", "description": "",
            "avatar_url": None, "created_at": iso(self.world.start), "marked_for_deletion_on": None,
            "request_access_enabled": True, "lfs_enabled": True, "default_branch_protection": 2,
        }  # fmt: skip

    @kept
    def project(self, project: Project) -> dict[str, Any]:
        return project_fields(project, web=self.web(project), url=self.url)

    @kept
    def commit(self, commit: Commit) -> dict[str, Any]:
        return self.commit_fields(commit)

    def commit_fields(self, commit: Commit) -> dict[str, Any]:
        """Dates in the author's own zone, as git keeps them."""
        author = commit.author
        return {
            "id": commit.sha, "short_id": commit.sha[:8], "created_at": iso_zoned(commit.committed),
            "parent_ids": commit.parents, "title": commit.message.partition("\n")[0],
            "message": commit.message,
            "author_name": author.name, "author_email": author.email,
            "authored_date": iso_zoned(commit.authored),
            "committer_name": author.name, "committer_email": author.email,
            "committed_date": iso_zoned(commit.committed), "trailers": {}, "extended_trailers": {},
            "web_url": f"{self.web(commit.project)}/-/commit/{commit.sha}",
        }  # fmt: skip

    def commit_with_stats(self, commit: Commit) -> dict[str, Any]:
        """With the sizes that `with_stats` asks for."""
        total = commit.additions + commit.deletions
        stats = {"additions": commit.additions, "deletions": commit.deletions, "total": total}
        return {**self.commit_fields(commit), "stats": stats}

    def commit_of_merge_request(self, commit: Commit) -> dict[str, Any]:
        """In this list GitLab leaves the parents out."""
        return {**self.commit_fields(commit), "parent_ids": []}

    def signature(self, commit: Commit) -> dict[str, Any]:
        kind = "PGP" if commit.signature == "GPG" else commit.signature
        common = {"signature_type": kind, "verification_status": "verified", "commit_source": "gitaly"}
        if kind == "PGP":
            return {
                **common, "gpg_key_id": 1, "gpg_key_primary_keyid": "8254AAB3FBD54AC9",
                "gpg_key_user_name": commit.author.name, "gpg_key_user_email": commit.author.email,
                "gpg_key_subkey_id": None,
            }  # fmt: skip
        if kind == "SSH":
            key = {"id": 11, "title": "laptop", "key": "ssh-ed25519 AAAA", "usage_type": "signing"}
            return {**common, "key": key, "key_fingerprint_sha256": "SHA256:demo"}
        return {**common, "x509_certificate": {"id": 1, "subject": "CN=demo", "certificate_status": "good"}}

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
            "description": made.description, "state": made.state, "created_at": iso(made.created),
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
            "description": made.description, "state": made.state, "created_at": iso(made.created),
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
        label = {"id": 900 + len(event.label), "name": event.label, "color": "#428BCA", "description": None}
        return {
            "id": event.id, "user": self.user(event.user), "created_at": iso(event.at),
            "resource_type": type(owner).__name__, "resource_id": owner.id, "label": label,
            "action": event.action,
        }  # fmt: skip

    def _pipeline(self, made: Pipeline) -> dict[str, Any]:
        return {
            "id": made.id, "iid": made.iid, "project_id": made.project.id, "sha": made.sha, "ref": made.ref,
            "status": made.status, "source": made.source, "created_at": iso(made.created),
            "updated_at": iso(made.updated), "web_url": f"{self.web(made.project)}/-/pipelines/{made.id}",
            "name": None,
        }  # fmt: skip

    @kept
    def pipeline(self, made: Pipeline) -> dict[str, Any]:
        return self._pipeline(made)

    def pipeline_detail(self, made: Pipeline) -> dict[str, Any]:
        return {
            **self._pipeline(made), "before_sha": "0" * 40, "tag": made.tag, "yaml_errors": None,
            "user": self.user(made.user), "started_at": iso(made.started), "finished_at": iso(made.finished),
            "committed_at": None, "duration": made.duration,
            "queued_duration": (made.started - made.created) // SECOND if made.started else None,
            "coverage": "87.40" if made.status == "success" else None, "detailed_status": {
                "icon": f"status_{made.status}", "text": made.status, "label": made.status,
                "group": made.status,
                "tooltip": made.status, "has_details": True,
                "details_path": f"/{made.project.path}/-/pipelines/{made.id}",
                "illustration": None, "favicon": "/assets/ci_favicons/favicon.png",
            },
        }  # fmt: skip

    def job(self, job: Job) -> dict[str, Any]:
        """As far as the clock has come; REST does not say whether it was retried."""
        pipeline = job.pipeline
        project, (status, started, finished) = pipeline.project, seen(job, self.world.now)
        web = self.web(project)
        commit = project.commits.get(pipeline.sha)
        found = {
            "id": job.id, "status": status, "stage": job.spec.stage, "name": job.spec.name,
            "ref": pipeline.ref,
            "tag": pipeline.tag, "coverage": None, "allow_failure": job.spec.allow_failure,
            "created_at": iso(job.created), "started_at": iso(started), "finished_at": iso(finished),
            "erased_at": None, "duration": (finished - started) / SECOND if finished and started else None,
            "queued_duration": job.queued / SECOND if started and job.queued else None,
            "user": self.user(pipeline.user),
            "commit": self.commit(commit) if commit else None, "pipeline": self.pipeline(pipeline),
            "web_url": f"{web}/-/jobs/{job.id}", "project": {"ci_job_token_scope_enabled": False},
            "artifacts": [],
            "runner": RUNNER if started else None, "runner_manager": None, "artifacts_expire_at": None,
            "archived": False, "tag_list": [],
        }  # fmt: skip
        if status == "failed":
            found["failure_reason"] = job.reason
        return found

    def bridge(self, job: Job) -> dict[str, Any]:
        found = self.job(job)
        for key in ("runner", "runner_manager", "artifacts", "artifacts_expire_at", "tag_list"):
            del found[key]
        child = job.pipeline.child
        return {**found, "downstream_pipeline": self.pipeline(child) if child else None}

    def deployment(self, made: Deployment) -> dict[str, Any]:
        """Null `deployable` where no job made it. Not kept: the job's pipeline changes after it."""
        environment = made.environment
        named = {"id": environment.id, "name": environment.name, "external_url": None,
                 "slug": environment.name.replace("/", "-"), "tier": environment.tier}  # fmt: skip
        return {
            "id": made.id, "iid": made.iid, "ref": made.ref, "sha": made.sha, "created_at": iso(made.created),
            "updated_at": iso(made.updated), "user": self.user(made.user), "environment": named,
            "deployable": self.job(made.job) if made.job else None, "status": made.status,
        }  # fmt: skip

    def environment(self, environment: Environment) -> dict[str, Any]:
        return {
            "id": environment.id, "name": environment.name, "slug": environment.name.replace("/", "-"),
            "external_url": None, "state": "available", "tier": environment.tier,
            "created_at": iso(environment.created), "updated_at": iso(environment.updated),
        }  # fmt: skip

    def tag(self, project: Project, tag: Tag) -> dict[str, Any]:
        release = project.releases.get(tag.name)
        commit = project.commits[tag.sha]
        return {
            "name": tag.name, "message": tag.message or "", "target": tag.sha, "commit": self.commit(commit),
            "release": {"tag_name": tag.name, "description": release.description} if release else None,
            "protected": False, "created_at": iso(tag.at) if tag.message else None,
        }  # fmt: skip

    def release(self, project: Project, release: Release) -> dict[str, Any]:
        tag, web = release.tag, self.web(project)
        return {
            "name": tag.name, "tag_name": tag.name, "description": release.description,
            "created_at": iso(release.created), "released_at": iso(release.released),
            "upcoming_release": release.released > self.world.now, "author": self.user(release.author),
            "commit": self.commit(project.commits[tag.sha]), "milestones": [],
            "commit_path": f"/{project.path}/-/commit/{tag.sha}",
            "tag_path": f"/{project.path}/-/tags/{tag.name}",
            "assets": {"count": 0, "sources": [], "links": []}, "evidences": [],
            "_links": {"self": f"{web}/-/releases/{tag.name}"},
        }  # fmt: skip

    def branch(self, project: Project, name: str) -> dict[str, Any]:
        protected, default = is_protected(name), name == project.default_branch
        return {
            "name": name, "commit": self.commit(project.commits[project.branches[name]]), "merged": False,
            "protected": protected, "developers_can_push": False, "developers_can_merge": False,
            "can_push": False,
            "default": default, "web_url": f"{self.web(project)}/-/tree/{name}",
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
            "has_tasks": False, "severity": "UNKNOWN", "moved_to_id": None, "imported": False,
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


def is_protected(name: str) -> bool:
    """main, and all release branches by a wildcard."""
    return name == "main" or name.startswith("release/")
