"""People: users as they stand in other answers, and who wrote a commit."""

from __future__ import annotations

from django.db import connection

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
_LINK_BY_ADDRESS = """
    with owners as (
        select author_email_hash, min(author_user_id) as user_id
          from raw_mr_commit
         where author_user_id is not null and author_email_hash is not null
         group by author_email_hash having count(distinct author_user_id) = 1
    ), linked as (
        select project_id, commit_id
          from raw_mr_commit
         where author_user_id is not null
         group by project_id, commit_id having count(distinct author_user_id) = 1
    ), found as (
        select c.id, o.user_id
          from raw_commit c
          left join owners o using (author_email_hash)
         where c.author_user_id is distinct from o.user_id
           and not exists (select from linked l
                            where l.project_id = c.project_id and l.commit_id = c.commit_id)
    ), changed as (
        update raw_commit c set author_user_id = f.user_id
          from found f
         where c.id = f.id
        returning c.project_id
    )
    select distinct project_id from changed order by project_id
"""

SIGN_COMMITS = """
    update raw_commit c set is_signed = m.is_signed
      from (select commit_id, bool_or(is_signed) as is_signed
              from raw_mr_commit
             where project_id = %(project)s and is_signed is not null
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


def link_across() -> list[int]:
    """Name the authors of commits by their addresses, over all projects; answers the projects it changed."""
    with connection.cursor() as cursor:
        cursor.execute("set local enable_nestloop = off")
        cursor.execute(_LINK_BY_ADDRESS)
        return [project for (project,) in cursor.fetchall()]


def link_authors(project_id: int) -> None:
    """Give the default branch's commits what GitLab says of the same commits in merge requests."""
    with connection.cursor() as cursor:
        for statement in (_LINK_COMMITS, _NAME_ADDRESSES):
            cursor.execute(statement, {"project": project_id})
