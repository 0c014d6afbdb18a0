"""Commits, tags, releases and branches as GitLab's REST answers."""

from __future__ import annotations

from typing import Any

from demo.entities import Commit, Project, Release, Tag
from demo.render_company import CompanyAnswers, kept
from demo.times import iso, iso_zoned


def is_protected(name: str) -> bool:
    """main, and all release branches by a wildcard."""
    return name == "main" or name.startswith("release/")


class CodeAnswers(CompanyAnswers):
    """What is in the repository."""

    @kept
    def commit(self, commit: Commit) -> dict[str, Any]:
        return self.commit_fields(commit)

    def commit_fields(self, commit: Commit) -> dict[str, Any]:
        """Dates in the author's own zone, as git keeps them."""
        author = commit.author
        return {
            "id": commit.sha, "short_id": commit.sha[:8], "created_at": iso_zoned(commit.committed),
            "parent_ids": commit.parents, "title": commit.title,
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
        common = {
            "signature_type": kind,
            "verification_status": commit.verification,
            "commit_source": "gitaly",
        }
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
