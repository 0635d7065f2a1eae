"""Where a run comes from: commit, branch and build, as the services that run pipelines say it."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

_COMMIT = "GITHUB_SHA CI_COMMIT_SHA GIT_COMMIT BUILD_SOURCEVERSION CIRCLE_SHA1 BUILDKITE_COMMIT BITBUCKET_COMMIT"
_BRANCH = """GITHUB_HEAD_REF GITHUB_REF_NAME CI_COMMIT_REF_NAME BRANCH_NAME GIT_BRANCH BUILD_SOURCEBRANCHNAME
    CIRCLE_BRANCH BUILDKITE_BRANCH BITBUCKET_BRANCH"""
_BUILD = "CI_JOB_URL BUILD_URL CIRCLE_BUILD_URL BUILDKITE_BUILD_URL"
_LONGEST = 300


def origin_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns commit, branch and build URL as far as they are known: of GitHub, GitLab, Jenkins, Azure and others."""
    found = {
        "commit": _first(environment, _COMMIT),
        "branch": _first(environment, _BRANCH),
        "build": _link(_first(environment, _BUILD) or _of_github(environment)),
    }
    return {name: value[:_LONGEST] for name, value in found.items() if value}


def _first(environment: Mapping[str, str], names: str) -> str:
    return next((value for name in names.split() if (value := environment.get(name, "").strip())), "")


def _of_github(environment: Mapping[str, str]) -> str:
    parts = [environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
    return "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""


def _link(url: str) -> str:
    """Returns an address without user and password; nothing where it is no link that a reader may follow."""
    if not re.fullmatch(r"https?://[^\s\\\"'<>]+", url):
        return ""
    try:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        return ""
