"""What a run knows of the pipeline that it is part of."""

import pytest

from convload.origin import origin_of

GITHUB = {
    "GITHUB_SHA": "6f1c0de",
    "GITHUB_HEAD_REF": "",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "some/app",
    "GITHUB_RUN_ID": "77",
}


@pytest.mark.parametrize(
    ("environment", "known"),
    [
        (GITHUB, ("6f1c0de", "main", "https://github.com/some/app/actions/runs/77")),
        (GITHUB | {"GITHUB_HEAD_REF": "fix"}, ("6f1c0de", "fix", "https://github.com/some/app/actions/runs/77")),
        (
            {"CI_COMMIT_SHA": "a1", "CI_COMMIT_REF_NAME": "dev", "CI_JOB_URL": "https://git.example/x/-/jobs/1"},
            ("a1", "dev", "https://git.example/x/-/jobs/1"),
        ),
        (
            {"GIT_COMMIT": "b2", "BRANCH_NAME": "dev", "BUILD_URL": "http://ci.example/job/5/"},
            ("b2", "dev", "http://ci.example/job/5/"),
        ),
    ],
)
def test_pipelines_say_commit_branch_and_build(environment: dict[str, str], known: tuple[str, str, str]) -> None:
    assert origin_of(environment) == dict(zip(("commit", "branch", "build"), known, strict=True))


def test_outside_a_pipeline_nothing_is_known() -> None:
    assert origin_of({"PATH": "/bin", "BUILD_URL": "", "GITHUB_SERVER_URL": "https://github.com"}) == {}


def test_a_password_in_the_address_of_a_build_is_left_out() -> None:
    assert origin_of({"BUILD_URL": "https://me:secret@ci.example/job/5"}) == {"build": "https://ci.example/job/5"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", 'https://x.example/"><b>', "https://["])
def test_what_is_no_link_to_a_server_is_none(url: str) -> None:
    assert origin_of({"BUILD_URL": url}) == {}
