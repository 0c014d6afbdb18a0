"""People: users as they stand in other answers, and who wrote a commit."""

from __future__ import annotations

from django.db import connection, transaction

from apps.collector.fields import Field, at, gid
from apps.collector.models import User
from apps.collector.tables import Table


def person(*each: str) -> Table:
    """The users at these places of a REST answer, which does not say who is a bot."""
    return _users(each, {"user_id": at("id")})


def member(*each: str) -> Table:
    """The users at these places of a GraphQL answer, with GitLab's own word on bots."""
    return _users(each, {"user_id": gid("id"), "is_bot": at("bot")})


def _users(each: tuple[str, ...], fields: dict[str, Field]) -> Table:
    nameless = Field(lambda item, document, given: not getattr(item, "username", None), ("username",))
    return Table(
        into=User,
        key=("user_id",),
        each=each,
        recurs=True,
        keeps=("name", "state", "is_bot"),
        skips=nameless,
        fields={**fields, "username": at("username"), "name": at("name"), "state": at("state")},
    )


_LINK_COMMITS = """
    with linked as (                                  -- GitLab's own link, for this very commit
        select commit_id, min(author_user_id) as user_id
          from raw_mr_commit
         where project_id = %(project)s and author_user_id is not null
         group by commit_id having count(distinct author_user_id) = 1
    ), owners as (                                    -- an address that it ever linked to one user only
        select m.author_email_hash, min(m.author_user_id) as user_id
          from raw_mr_commit m
         where m.author_user_id is not null
           and m.author_email_hash in (select author_email_hash from raw_commit
                                        where project_id = %(project)s and author_user_id is null)
         group by m.author_email_hash having count(distinct m.author_user_id) = 1
    ), found as (
        select c.id, coalesce(l.user_id, o.user_id) as user_id
          from raw_commit c
          left join linked l using (commit_id)
          left join owners o on o.author_email_hash = c.author_email_hash and c.author_user_id is null
         where c.project_id = %(project)s
    )
    update raw_commit c set author_user_id = f.user_id
      from found f
     where c.id = f.id and f.user_id is not null and c.author_user_id is distinct from f.user_id
"""

# Once all projects are collected their order makes no difference: an address that only later turned out to be
# another's too names nobody. A link that GitLab gave for the very commit stands.
_FOUND_BY_ADDRESS = """
    with owners as (
        select m.author_email_hash, min(m.author_user_id) as user_id
          from raw_mr_commit m
         where m.author_user_id is not null and m.author_email_hash is not null
           and (%(project)s::bigint is null or m.author_email_hash in (
                   select author_email_hash from raw_commit where project_id = %(project)s))
         group by m.author_email_hash having count(distinct m.author_user_id) = 1
    ), linked as (
        select project_id, commit_id
          from raw_mr_commit
         where author_user_id is not null and project_id = coalesce(%(project)s, project_id)
         group by project_id, commit_id having count(distinct author_user_id) = 1
    ), found as (
        select c.id, c.project_id, o.user_id
          from raw_commit c
          left join owners o using (author_email_hash)
          left join linked l using (project_id, commit_id)
         where c.author_user_id is distinct from o.user_id and l.commit_id is null
           and c.project_id = coalesce(%(project)s, c.project_id)
    )
"""
_TO_LINK = f"{_FOUND_BY_ADDRESS} select distinct project_id from found order by project_id"  # noqa: S608  # ours
_LINK = f"""{_FOUND_BY_ADDRESS}
    update raw_commit c set author_user_id = f.user_id from found f where c.id = f.id
"""  # noqa: S608  # our own statement

SIGN_COMMITS = """
    update raw_commit c set is_signed = m.is_signed
      from (select commit_id, bool_or(is_signed) as is_signed
              from (select commit_id, is_signed from raw_mr_commit where project_id = %(project)s
                     union all
                    select sha, commit_is_signed from raw_pipeline where project_id = %(project)s) told
             where is_signed is not null
             group by commit_id) m
     where c.project_id = %(project)s and c.commit_id = m.commit_id
       and c.is_signed is distinct from m.is_signed
"""

_NAME_ADDRESSES = """
    update dim_user u set email_hash = o.author_email_hash
      from (select author_user_id, min(author_email_hash) as author_email_hash
              from raw_mr_commit
             where project_id = %(project)s and author_user_id is not null and author_email_hash is not null
             group by author_user_id) o
     where u.user_id = o.author_user_id and u.email_hash is null
"""


@transaction.atomic
def projects_to_link() -> list[int]:
    """The projects in which addresses, as all projects tell them, would name other authors."""
    with connection.cursor() as cursor:
        cursor.execute("set local enable_nestloop = off")
        cursor.execute(_TO_LINK, {"project": None})
        return [project for (project,) in cursor.fetchall()]


def link_by_address(project_id: int) -> None:
    """Name the authors of a project's commits by their addresses, over all projects."""
    with connection.cursor() as cursor:
        cursor.execute(_LINK, {"project": project_id})


def link_authors(project_id: int) -> None:
    """Give the default branch's commits what GitLab says of the same commits in merge requests."""
    with connection.cursor() as cursor:
        for statement in (_LINK_COMMITS, _NAME_ADDRESSES):
            cursor.execute(statement, {"project": project_id})
