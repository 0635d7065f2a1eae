from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.bundled import find_plan
from convload.errors import UsageError
from convload.plan.durations import Think, parse_duration_s, parse_think
from convload.plan.plan import Plan, assemble, cautions, host_allowed


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.toml"
    path.write_text(text)
    return path


def problems_of(*arguments: object) -> list[str]:
    with pytest.raises(UsageError) as caught:
        assemble(*arguments)  # type: ignore[arg-type]  # bad input is the point
    return list(caught.value.problems)


def test_defaults_make_a_plan_of_thirty_seconds_at_the_mock() -> None:
    plan = assemble(None, {}, {})

    assert (plan.target, plan.model, plan.duration_s, plan.warmup_s) == ("mock", "closed", 30.0, 5.0)
    assert plan.ends_after_s == 35.0
    assert plan.lookup


def test_flags_override_the_environment_then_the_file_then_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, 'users = 2\nseed = 2\nmix = "file"\n')

    plan = assemble(path, {"CONVLOAD_USERS": "3", "CONVLOAD_SEED": "3"}, {"users": "4", "mix": None})

    assert (plan.users, plan.seed, plan.mix, plan.workers) == (4, 3, "file", 1)
    assert plan.name == "some"


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30.0), ("1.5m", 90.0), ("2 h", 7200.0), (" 1s ", 1.0)]
)
def test_durations_carry_their_unit(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@given(st.text(alphabet="0123456789.smh -eE+x", max_size=8))
def test_what_is_no_duration_is_refused_and_never_crashes(text: str) -> None:
    try:
        seconds = parse_duration_s(text)
    except ValueError:
        return
    assert seconds >= 0
    assert text.strip()[-1] in "smh"


@pytest.mark.parametrize(
    ("text", "think"),
    [
        ("none", None),
        ("constant 1s", Think("constant", 1.0, 1.0)),
        ("uniform 1s 3s", Think("uniform", 1.0, 3.0)),
        ("exponential 200ms", Think("exponential", 0.2, 0.2)),
    ],
)
def test_think_times_are_none_constant_uniform_or_exponential(text: str, think: Think | None) -> None:
    assert parse_think(text) == think


def test_all_mistakes_of_all_sources_are_told_at_once_with_their_place(tmp_path: Path) -> None:
    path = write(tmp_path, 'target = "mock"\nusrs = 3\nwarmup = "5"\nusers = "ten"\n[mock]\nreset_shar = 0.1\n')

    problems = problems_of(path, {"CONVLOAD_SEED": "-1"}, {"workers": "0", "duration": "0s"})

    assert problems == [
        f"{path}:2: usrs: unknown key, did you mean 'users'?",
        f"{path}:3: warmup: '5' is no duration; write a number with ms, s, m or h, such as 30s",
        f"{path}:4: users: must be a whole number, not text",
        f"{path}:6: mock.reset_shar: unknown key, did you mean 'reset_share'?",
        "CONVLOAD_SEED: '-1': must be a whole number of at least 0",
        "--workers: '0': must be a whole number of at least 1",
        "--duration: must be a number above 0 (in seconds)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("users = [", "is no TOML"),
        ("x = " + "[" * 900 + "]" * 900, "is nested too deeply"),
        ("users = " + "9" * 4400, "holds a number of more than 4,300 digits"),
        ("rate = 5\nduration = '0.001ms'", "duration: '0.001ms' is shorter than 1ms"),
        ("model = 'opn'", ":1: model: 'opn' must be one of closed, open; did you mean 'open'?"),
        ("consumers = 'pol'", "'pol' must be one of close, fresh, none, pool; did you mean 'pool'?"),
        ("model = 'open'", "an open load needs exactly one of rate, stages, replay; this plan has none"),
        ("rate = 5\nreplay = 'x'", "needs exactly one of rate, stages, replay; this plan has rate and replay"),
        ("rate = 5\nthink = 'constant 1s'", "think, ramp: are for the closed model"),
        ("rate = 5\nconversations = 3", "conversations: an open load ends with its schedule"),
        ("rate = 5\nconsumers = 'pool'", "pool_size: is needed"),
        ("[[stages]]\nhold = 5", ":1: stages[0].duration: is missing"),
        (
            "seed = 3\n[[stages]]\nhold = 5\nduration = '1s'\n[[stages]]\nduration = '1s'\nhold = -1",
            ":7: stages[1].hold: ",
        ),
        ("seed = 3\n[mock]\nauth = true\nseed = 'x'", ":4: mock.seed: "),
        ("gates = ['']", ":1: gates: '': expected a name"),
        ("[[stages]]\nhold = 5\npause = true\nduration = '1s'", "exactly one of hold, ramp, steps, spike, pause"),
        ("[[stages]]\nhold = 5\nduration = '0s'", "must be above 0"),
        ("[[stages]]\nhold = -1\nduration = '1s'", "stages[0].hold"),
        ("[[stages]]\nhodl = 5\nduration = '1s'", "did you mean 'hold'?"),
        ("think = 'sometimes'", "think: 'sometimes' is no think time; write none, constant 1s"),
        ("think = 'uniform 1s x'", "think: 'x' is no duration"),
        ("consumers = 'pool'", "pool_size: is needed with consumers = 'pool'"),
        ("consumers = 'pool'\npool_size = 5\nconversations = 6", "pool_size: 5 consumers are too few"),
        ("users = 1\nworkers = 2", "workers: 2 workers need at least as many users"),
        (
            "target = 'http://far.example'\nallow_hosts = ['far.example']",
            "would go to 'far.example' by http",
        ),
        ("target = 'ftp://127.0.0.1'", "target: 'ftp://127.0.0.1' must be mock, http://HOST[:PORT]"),
        ("target = 'http://127.0.0.1/path'", "must be mock, http://HOST[:PORT]"),
        ("target = 'https://va.example.net'", "'va.example.net' is not this machine; to fire at it give --allow-host"),
        ("account = 'a b'", "account: must be letters, digits, - and _, 64 of them at most"),
        ("tags = ['main']", "tags[0]: must be KEY=VALUE, as in branch=main"),
        ("target_b = 'http://127.0.0.1:9'\ngates = ['errors < 1%']", "gates: judges one target"),
        ("target_b = 'http://127.0.0.1:9'\nbaseline = 'before'", "baseline: judges one target"),
        ("target_b = 'http://127.0.0.1:9'\nextend = '5s'", "extend: judges one target"),
        ("target_b = 'http://127.0.0.1:9'\nbaseline_gates = ['rate >= baseline']", "baseline_gates: judges one target"),
    ],
)
def test_each_impossible_plan_has_its_message(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in "\n".join(problems_of(write(tmp_path, text), {}, {}))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("CONVLOAD_DURATON", "CONVLOAD_DURATON: unknown variable, did you mean CONVLOAD_DURATION?"),
        ("CONVLOAD_ALLOW_HOST", "CONVLOAD_ALLOW_HOST: unknown variable, did you mean CONVLOAD_ALLOW_HOSTS?"),
        ("CONVLOAD_CLIENTID", "CONVLOAD_CLIENTID: unknown variable, did you mean CONVLOAD_CLIENT_ID?"),
        ("CONVLOAD_STAGES", "CONVLOAD_STAGES: stages has its place in a plan file alone"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_one_that_was_meant(name: str, problem: str) -> None:
    assert problems_of(None, {name: "1"}, {}) == [problem]


def test_other_variables_of_that_prefix_are_left_alone() -> None:
    assert assemble(None, {"CONVLOAD_CLIENT_ID": "a", "CONVLOAD_ON_BEHALF": "b", "CONVLOAD_HOME": "/c"}, {}) == Plan(
        name="run", model="closed", duration_s=30.0, warmup_s=5.0, lookup=True
    )


@pytest.mark.parametrize("name", ["x/../../../../escaped", "/etc", "a\n::error::b", "..", "\x7f"])
def test_a_name_that_could_leave_its_folder_or_line_is_refused(name: str) -> None:
    [problem] = problems_of(None, {}, {"name": name})

    assert problem.startswith("name: ")
    assert problem.isprintable()


def test_a_plan_without_tokens_for_the_mock_has_them_at_another_target(tmp_path: Path) -> None:
    path = write(tmp_path, "target = 'mock'\nconsumers = 'none'\n")
    host = {"target": "http://127.0.0.1:9"}

    assert assemble(path, {}, {}).consumers == "none"
    assert assemble(path, {}, host).consumers == "close"
    assert assemble(path, {"CONVLOAD_TARGET": host["target"]}, {}).consumers == "close"
    assert assemble(path, {}, host | {"consumers": "none"}).consumers == "none"
    assert assemble(path, {"CONVLOAD_CONSUMERS": "none"}, host).consumers == "none"


def test_a_plan_that_names_its_own_target_keeps_its_consumers(tmp_path: Path) -> None:
    path = write(tmp_path, "target = 'http://127.0.0.1:8'\nconsumers = 'none'\n")

    assert assemble(path, {}, {"target": "http://127.0.0.1:9"}).consumers == "none"


def test_a_plan_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in problems_of(tmp_path / "none.toml", {}, {})[0]


@pytest.mark.parametrize(
    ("host", "allowed", "answer"),
    [
        ("127.0.0.1", [], True),
        ("127.8.8.8", [], True),
        ("localhost", [], True),
        ("::1", [], True),
        ("127.0.0.1.example.net", [], False),
        ("10.0.0.1", [], False),
        ("va.example.net", ["va.example.net"], True),
        ("va.example.net", ["*.example.net"], True),
        ("va.example.net", ["VA.Example.net"], True),
        ("va.example.net", ["*.EXAMPLE.net"], True),
        ("example.net", ["*.example.net"], False),
        ("evil-example.net", ["*.example.net"], False),
    ],
)
def test_only_this_machine_and_allowed_hosts_may_be_fired_at(host: str, allowed: list[str], answer: bool) -> None:
    assert host_allowed(host, allowed) is answer


def test_a_run_by_count_has_no_time_limit_and_no_warm_up_unless_it_asks() -> None:
    plan = assemble(None, {}, {"conversations": "10"})
    warm = assemble(None, {}, {"conversations": "10", "warmup": "1s"})

    assert (plan.duration_s, plan.warmup_s, plan.ends_after_s) == (None, 0.0, None)
    assert warm.warmup_s == 1.0


def test_a_newer_source_that_ends_the_run_otherwise_drops_the_older_end(tmp_path: Path) -> None:
    timed, counted = write(tmp_path, "duration = '9s'\nwarmup = '2s'\n"), tmp_path / "counted.toml"
    counted.write_text("conversations = 7\n")

    by_count = assemble(timed, {}, {"conversations": "10"})
    by_time = assemble(counted, {"CONVLOAD_DURATION": "3s"}, {})
    both = assemble(timed, {}, {"conversations": "10", "duration": "1s"})

    assert (by_count.conversations, by_count.duration_s, by_count.warmup_s) == (10, None, 0.0)
    assert (by_time.conversations, by_time.duration_s, by_time.warmup_s) == (None, 3.0, 5.0)
    assert (both.conversations, both.duration_s, both.warmup_s) == (10, 1.0, 0.0)


def test_flags_of_one_model_drop_what_the_plan_says_of_the_other(tmp_path: Path) -> None:
    path = write(tmp_path, "model = 'open'\nrate = 500\nduration = '20s'\nwarmup = '2s'\n")

    closed = assemble(path, {}, {"users": "5"})
    counted = assemble(path, {}, {"users": "5", "conversations": "10"})
    opened = assemble(path, {}, {"rate": "20"})

    assert (closed.model, closed.users, closed.duration_s) == ("closed", 5, 20.0)
    assert (counted.model, counted.conversations, counted.duration_s) == ("closed", 10, None)
    assert (opened.model, opened.rate, opened.duration_s) == ("open", 20.0, 20.0)


def test_a_rate_makes_the_load_open_with_the_warm_up_at_that_rate() -> None:
    plan = assemble(None, {}, {"rate": "500", "duration": "20s"})

    assert (plan.model, plan.arrivals, plan.users, plan.ends_after_s) == ("open", "poisson", plan.max_in_flight, 25.0)
    assert [(stage.from_rate, stage.duration_s, stage.warmup) for stage in plan.resolved_stages()] == [
        (500.0, 5.0, True),
        (500.0, 20.0, False),
    ]


def test_stages_hold_ramp_step_spike_and_pause(tmp_path: Path) -> None:
    plan = assemble(
        write(
            tmp_path,
            "warmup = '1s'\n"
            "[[stages]]\nhold = 100\nduration = '10s'\nname = 'base'\n"
            "[[stages]]\nramp = [100, 300]\nduration = '5s'\n"
            "[[stages]]\nsteps = [300, 400]\nduration = '2s'\n"
            "[[stages]]\nspike = 1900\nduration = '1s'\n"
            "[[stages]]\npause = true\nduration = '3s'\n",
        ),
        {},
        {},
    )

    assert [(one.name, one.from_rate, one.to_rate, one.duration_s) for one in plan.resolved_stages()] == [
        ("warm-up", 100.0, 100.0, 1.0),
        ("base", 100.0, 100.0, 10.0),
        ("2: 100 to 300/s", 100.0, 300.0, 5.0),
        ("3: 300/s", 300.0, 300.0, 2.0),
        ("3: 400/s", 400.0, 400.0, 2.0),
        ("4: 1,900/s", 1900.0, 1900.0, 1.0),
        ("5: pause", 0.0, 0.0, 3.0),
    ]
    assert plan.duration_s == 23.0


def test_without_tokens_the_mock_does_not_ask_for_them() -> None:
    assert not assemble(None, {}, {"consumers": "none"}).mock.auth
    assert assemble(None, {}, {}).mock.auth


def test_allowed_hosts_may_come_as_a_list_in_one_variable() -> None:
    plan = assemble(None, {"CONVLOAD_ALLOW_HOSTS": "a.example, b.example"}, {})

    assert plan.allow_hosts == ["a.example", "b.example"]


def test_a_bundled_plan_is_found_by_its_name_or_path_and_others_are_told() -> None:
    assert find_plan("smoke").name == find_plan("plans/smoke.toml").name == "smoke.toml"
    with pytest.raises(
        UsageError, match=r"is no file that can be read, and no bundled plan of that name; bundled: .*smoke"
    ):
        find_plan("smok")


def test_a_name_means_the_plan_of_the_workspace_before_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "gate.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    assert find_plan("gate") == Path("plans/gate.toml")
    assert find_plan("smoke").is_absolute()


def test_a_plan_of_another_folder_is_never_taken_for_a_bundled_one(tmp_path: Path) -> None:
    for wrong in ("mine/smoke.toml", str(tmp_path / "smoke.toml")):
        with pytest.raises(UsageError, match="is no file that can be read"):
            find_plan(wrong)
    with pytest.raises(UsageError, match="is no file that can be read"):
        find_plan(str(tmp_path))


def test_every_bundled_plan_can_be_run() -> None:
    plans = sorted(find_plan("smoke").parent.glob("*.toml"))

    assert [assemble(path, {}, {}).name for path in plans] == [path.stem for path in plans]


def test_a_plan_shows_no_secret() -> None:
    secret_fields = [name for name in Plan.__struct_fields__ if "secret" in name or "token" in name]

    assert secret_fields == []


def test_two_targets_need_one_load_and_time_for_four_turns() -> None:
    flags = {"target_b": "ftp://x", "replay": "starts.txt", "window": "100ms"}
    with pytest.raises(UsageError) as caught:
        assemble(None, {}, flags)
    told = "\n".join(caught.value.problems)
    assert "target_b: 'ftp://x' must be http://HOST[:PORT] or https://HOST[:PORT]" in told
    assert "not with stages or a replay" in told
    assert "window: must be at least 0.25 s" in told
    with pytest.raises(UsageError, match=r"hold no four windows"):
        assemble(None, {}, {"target_b": "http://127.0.0.1:1", "duration": "900ms", "rate": "10"})


def test_windows_of_two_targets_come_in_groups_of_four_and_fill_the_time() -> None:
    plan = assemble(
        None, {}, {"target_b": "http://127.0.0.1:1", "duration": "31s", "window": "5s", "rate": "10", "warmup": "4s"}
    )
    stages = plan.resolved_stages()
    assert [stage.name for stage in stages[:6]] == ["warm-up A", "warm-up B", "A 1", "B 1", "B 2", "A 2"]
    assert len(stages) == 2 + 8
    assert sum(stage.duration_s for stage in stages) == pytest.approx(35)


COMPARED = 'gates = ["create.p99 < 1s"]\nbaseline_gates = ["create.p50 <= baseline * 1.1"]\n'


def test_gates_kept_for_a_baseline_are_asked_where_one_is_given_and_only_there(tmp_path: Path) -> None:
    path = write(tmp_path, COMPARED)

    assert assemble(path, {}, {}).gates == ["create.p99 < 1s"]
    both = ["create.p99 < 1s", "create.p50 <= baseline * 1.1"]
    assert assemble(path, {}, {"baseline": "reports/release"}).gates == both
    assert assemble(path, {"CONVLOAD_BASELINE": "reports/release"}, {}).gates == both
    empty = assemble(path, {"CONVLOAD_BASELINE": ""}, {})
    assert (empty.gates, empty.baseline) == (both[:1], None)


def test_gates_of_a_newer_source_take_the_place_of_those_kept_for_a_baseline_too(tmp_path: Path) -> None:
    flags = {"baseline": "reports/release", "gates": ["create.p95 < 1s"]}

    assert assemble(write(tmp_path, COMPARED), {}, flags).gates == ["create.p95 < 1s"]


def test_gates_kept_for_a_baseline_are_checked_without_one_too(tmp_path: Path) -> None:
    path = write(tmp_path, 'baseline_gates = ["create.p50 <= bse * 1.1", "create.p99 < 1s"]\n')

    for flags in ({}, {"baseline": "reports/release"}):
        broken, needless = problems_of(path, {}, flags)
        assert broken.startswith(f"{path}:1: baseline_gates: 'create.p50 <= bse * 1.1': ")
        assert needless.endswith("'create.p99 < 1s': compares with no baseline; it belongs into gates")


def test_a_delay_of_an_earlier_version_is_read_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "users = 2\n[mock]\ndelay_ms = 3\n")

    assert assemble(path, {}, {}).mock.service_time == "constant(3ms)"
    assert capsys.readouterr().err == (
        f'convload: note: {path}:2: mock.delay_ms: read for one more version; write service_time = "constant(3ms)"\n'
    )


def test_a_shipped_plan_gives_no_hint(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("smoke", "gate", "soak", "users", "capacity"):
        assemble(find_plan(name), {}, {})

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"insecure": True},
        {"consumers": "none"},
        {"allow_hosts": ["http://far.example"]},
        {"target": "https://far.example"},
        {"target": "http://127.0.0.1:80"},
        {"lookup": True},
    ],
    ids=str,
)
def test_credentials_go_where_nobody_on_the_way_reads_them_or_a_person_says_so(
    changes: dict[str, object],
) -> None:
    plan: dict[str, object] = {"target": "http://far.example", "allow_hosts": ["far.example"]}

    assert assemble(None, {}, plan | changes)


def test_what_a_plan_does_without_is_said_of_it() -> None:
    plan = {"target": "http://far.example", "allow_hosts": ["far.example"], "insecure": True, "verify_tls": False}

    unverified, in_clear = cautions(assemble(None, {}, plan))

    assert "verify_tls = false" in unverified
    assert "far.example can be read by all on the way" in in_clear
    assert cautions(assemble(None, {}, {})) == []
