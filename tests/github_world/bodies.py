"""GitHub's objects as JSON. The fields that a client of this project may rely on, and those that identify."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone

from tests.github_world.answers import Json
from tests.github_world.hosted import Hosted
from tests.github_world.state import Check, Face, Pull, Rule, Token

NOW = "2026-01-02T03:04:05Z"


def _node(kind: str, name: object) -> str:
    return base64.b64encode(f"{kind}:{name}".encode()).decode()


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


_OF_USER = [
    "events",
    "followers",
    "following",
    "gists",
    "organizations",
    "received_events",
    "repos",
    "starred",
    "subscriptions",
]
_OF_REPOSITORY = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
]
_COUNTS = [
    "forks",
    "forks_count",
    "open_issues",
    "open_issues_count",
    "size",
    "stargazers_count",
    "watchers",
    "watchers_count",
]
_HAS = ["issues", "projects", "wiki", "pages", "discussions", "downloads"]


def user(api: str, login: str) -> Json:
    """A simple user."""
    return {f"{name}_url": f"{api}/users/{login}/{name}" for name in _OF_USER} | {
        "avatar_url": f"{api.removesuffix('/api/v3')}/avatars/{login}",
        "gravatar_id": "",
        "login": login,
        "id": _number(login),
        "node_id": _node("User", login),
        "url": f"{api}/users/{login}",
        "html_url": f"{api.removesuffix('/api/v3')}/{login}",
        "type": "User",
        "site_admin": False,
    }


def private_user(api: str, login: str) -> Json:
    """A user as shown to itself."""
    nothing = ("name", "email", "bio", "blog", "company", "hireable", "location")
    counts = "followers following public_gists public_repos private_gists owned_private_repos total_private_repos"
    body: Json = user(api, login) | dict.fromkeys(nothing) | dict.fromkeys(counts.split(), 0)
    return (
        body
        | {"collaborators": 0, "disk_usage": 0, "two_factor_authentication": True}
        | dict.fromkeys(("created_at", "updated_at"), NOW)
    )


def repository(api: str, hosted: Hosted, token: Token) -> Json:
    """A full repository; its merge settings only for those who may write."""
    settings = hosted.settings
    web = api.removesuffix("/api/v3")
    may_write = token.may("contents")
    users = may_write or token.fine_grained  # what is told of permissions is the user's
    at = f"{api}/repos/{hosted.full_name}"
    body: Json = {f"{name}_url": f"{at}/{name}" for name in _OF_REPOSITORY}
    body |= dict.fromkeys((*_COUNTS, "network_count", "subscribers_count"), 0)
    body |= {f"has_{name}": False for name in _HAS}
    body |= dict.fromkeys(("description", "homepage", "language", "license", "mirror_url"))
    body |= dict.fromkeys(("created_at", "updated_at", "pushed_at"), NOW)
    body |= dict.fromkeys(("git_url", "ssh_url", "svn_url"), f"{web}/{hosted.full_name}.git")
    body |= {
        "id": hosted.id,
        "node_id": _node("Repository", hosted.id),
        "name": hosted.full_name.partition("/")[2],
        "full_name": hosted.full_name,
        "owner": user(api, hosted.owner),
        "private": settings.private,
        "visibility": "private" if settings.private else "public",
        "fork": False,
        "archived": settings.archived,
        "disabled": False,
        "default_branch": settings.default_branch,
        "url": at,
        "html_url": f"{web}/{hosted.full_name}",
        "clone_url": f"{web}/{hosted.full_name}.git",
        "permissions": {"admin": False, "maintain": False, "push": users, "triage": users, "pull": True},
    }
    if may_write:
        names = ("squash_merge", "merge_commit", "rebase_merge", "update_branch")
        body |= {f"allow_{name}": getattr(settings, f"allow_{name}") for name in names}
        body |= {"allow_auto_merge": False, "delete_branch_on_merge": settings.delete_branch_on_merge}
        body |= {"squash_merge_commit_title": "PR_TITLE", "squash_merge_commit_message": "BLANK"}
    return body


def reference(api: str, hosted: Hosted, branch: str, sha: str) -> Json:
    """A git reference."""
    at = f"{api}/repos/{hosted.full_name}/git"
    name = f"refs/heads/{branch}"
    found = {"sha": sha, "type": "commit", "url": f"{at}/commits/{sha}"}
    return {"ref": name, "node_id": _node("Ref", name), "url": f"{at}/{name}", "object": found}


def branch(api: str, hosted: Hosted, name: str, sha: str) -> Json:
    """A branch with the short form of its protection."""
    rule = hosted.rule(name)
    at = f"{api}/repos/{hosted.full_name}"
    protected = any(rule == each for each in hosted.rules.values())
    classic = protected and not rule.ruleset
    contexts = list(rule.required) if classic else []
    level = "non_admins" if contexts else "off"
    checks = [{"context": each, "app_id": None} for each in contexts]
    return {
        "name": name,
        "commit": commit(api, hosted, sha),
        "protected": protected,
        "protection": {
            "enabled": classic,
            "required_status_checks": {"enforcement_level": level, "contexts": contexts, "checks": checks},
        },
        "protection_url": f"{at}/branches/{name}/protection",
        "_links": {"self": f"{at}/branches/{name}", "html": at.replace("/api/v3/repos", "") + f"/tree/{name}"},
    }


def rules(hosted: Hosted, rule: Rule) -> list[Json]:
    """The rules of rulesets that are active for a branch."""
    if not rule.ruleset:
        return []
    source: Json = {"ruleset_source_type": "Repository", "ruleset_source": hosted.full_name, "ruleset_id": rule.number}
    found: list[Json] = [{"type": each, **source} for each in rule.others]
    if rule.required:
        checks = [{"context": each} for each in rule.required]
        parameters = {"strict_required_status_checks_policy": rule.strict, "required_status_checks": checks}
        parameters |= {"do_not_enforce_on_create": not rule.on_create}
        found.append({"type": "required_status_checks", "parameters": parameters, **source})
    if rule.reviews or not rule.pushes or rule.methods:
        parameters = {
            "required_approving_review_count": rule.reviews,
            "dismiss_stale_reviews_on_push": False,
            "require_code_owner_review": False,
            "require_last_push_approval": False,
            "required_review_thread_resolution": False,
        } | ({"allowed_merge_methods": list(rule.methods)} if rule.methods else {})
        found.append({"type": "pull_request", "parameters": parameters, **source})
    return found


def ruleset(api: str, hosted: Hosted, rule: Rule) -> Json:
    """A ruleset; who may bypass it is told for the one who asks alone."""
    return {
        "id": rule.number,
        "name": f"Ruleset {rule.number}",
        "target": "branch",
        "source_type": "Repository",
        "source": hosted.full_name,
        "enforcement": "active",
        "current_user_can_bypass": rule.bypass,
        "node_id": _node("RepositoryRuleset", rule.number),
        "_links": {"self": {"href": f"{api}/repos/{hosted.full_name}/rulesets/{rule.number}"}},
        "created_at": NOW,
        "updated_at": NOW,
    }


def commit(api: str, hosted: Hosted, sha: str) -> Json:
    """A commit."""
    at = f"{api}/repos/{hosted.full_name}"
    found = hosted.git.commit(sha)
    name, _, mail = found.author.rstrip(">").partition(" <")
    moment = datetime.fromtimestamp(int(found.authored.split()[0]), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    person = {"name": name, "email": mail, "date": moment}
    return {
        "sha": sha,
        "node_id": _node("Commit", sha),
        "url": f"{at}/commits/{sha}",
        "html_url": at.replace("/api/v3/repos", "") + f"/commit/{sha}",
        "comments_url": f"{at}/commits/{sha}/comments",
        "commit": {
            "message": found.message.rstrip("\n"),
            "author": person,
            "committer": person,
            "tree": {"sha": found.tree, "url": f"{at}/git/trees/{found.tree}"},
            "url": f"{at}/git/commits/{sha}",
            "comment_count": 0,
        },
        "author": None,
        "committer": None,
        "parents": [{"sha": each, "url": f"{at}/commits/{each}"} for each in found.parents],
    }


def status(api: str, hosted: Hosted, sha: str, check: Check, tick: int) -> Json:
    """A commit status in the form that the combined status lists."""
    return {
        "id": _number(sha + check.name),
        "node_id": _node("StatusContext", check.name),
        "url": f"{api}/repos/{hosted.full_name}/statuses/{sha}",
        "state": check.result(tick) or "pending",
        "context": check.name,
        "description": None,
        "target_url": None,
        "avatar_url": None,
        "created_at": NOW,
        "updated_at": NOW,
    }


def check_run(api: str, hosted: Hosted, sha: str, check: Check, tick: int) -> Json:
    """A check run."""
    result = check.result(tick)
    number = _number(sha + check.name)
    at = f"{api}/repos/{hosted.full_name}/check-runs/{number}"
    return {
        "id": number,
        "node_id": _node("CheckRun", number),
        "head_sha": sha,
        "external_id": "",
        "name": check.name,
        "status": "in_progress" if result is None else "completed",
        "conclusion": result,
        "url": at,
        "html_url": at.replace("/api/v3/repos", ""),
        "details_url": at.replace("/api/v3/repos", ""),
        "started_at": NOW,
        "completed_at": None if result is None else NOW,
        "output": {"title": None, "summary": None, "text": None, "annotations_count": 0, "annotations_url": at},
        "check_suite": {"id": number},
        "app": None,
        "pull_requests": [],
    }


def _end(api: str, hosted: Hosted, branch: str, sha: str, token: Token) -> Json:
    label = f"{hosted.owner}:{branch}"
    owner = user(api, hosted.owner)
    return {"label": label, "ref": branch, "sha": sha, "user": owner, "repo": repository(api, hosted, token)}


def _head(api: str, hosted: Hosted, pull: Pull, face: Face, token: Token) -> Json:
    home = _end(api, hosted, pull.branch, face.head_sha, token)
    if pull.fork is None:
        return home
    owner = pull.fork.partition("/")[0] or "ghost"
    there = {**home["repo"], "full_name": pull.fork, "fork": True} if pull.fork else None
    return {**home, "label": f"{owner}:{pull.branch}", "user": user(api, owner), "repo": there}


def pull(api: str, hosted: Hosted, pull: Pull, face: Face, token: Token) -> Json:
    """A simple pull request, as lists hold it."""
    at = f"{api}/repos/{hosted.full_name}"
    me = f"{at}/pulls/{pull.number}"
    web = at.replace("/api/v3/repos", "") + f"/pull/{pull.number}"
    issue = f"{at}/issues/{pull.number}"
    links = {
        "self": me,
        "html": web,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{me}/comments",
        "review_comment": f"{at}/pulls/comments{{/number}}",
        "commits": f"{me}/commits",
        "statuses": f"{at}/statuses/{face.head_sha}",
    }
    return {
        "id": hosted.id * 100_000 + pull.number,
        "node_id": _node("PullRequest", pull.number),
        "number": pull.number,
        "url": me,
        "html_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
        "issue_url": issue,
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": links["statuses"],
        "state": face.state,
        "locked": False,
        "title": face.title,
        "body": face.body,
        "user": user(api, pull.author),
        "labels": [],
        "milestone": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "draft": pull.draft,
        "created_at": NOW,
        "updated_at": NOW,
        "closed_at": None if face.state == "open" else NOW,
        "merged_at": NOW if face.merged else None,
        "merge_commit_sha": face.merge_sha,
        "head": _head(api, hosted, pull, face, token),
        "base": _end(api, hosted, face.base, pull.base_sha, token),
        "_links": {name: {"href": address} for name, address in links.items()},
        "author_association": "COLLABORATOR",
        "auto_merge": None,
        "active_lock_reason": None,
    }
