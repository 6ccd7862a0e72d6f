"""Profiles: what they set, what goes before them, and where `voltpay config` says it came from."""

import pytest

from voltpay.app.settings import read_settings
from voltpay.cli.main import main
from voltpay.core.errors import Misconfigured


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VOLTPAY_PROFILE", raising=False)
    return tmp_path


def shown(monkeypatch, capsys, *words):
    """The lines of `voltpay config` by the setting's name."""
    monkeypatch.setattr("sys.argv", ["voltpay", *words, "config"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    return {line.split(" = ")[0].strip(): line for line in out.splitlines() if " = " in line}


@pytest.mark.parametrize(
    ("profile", "host", "level"),
    [
        ("local", "127.0.0.1", "info"),
        ("docker", "0.0.0.0", "info"),
        ("test", "127.0.0.1", "warning"),
        ("production", "0.0.0.0", "info"),
    ],
)
def test_a_profile_sets_what_nothing_else_does(monkeypatch, profile, host, level):
    monkeypatch.setenv("VOLTPAY_PROFILE", profile)
    settings = read_settings()
    assert (settings.profile, settings.host, settings.log_level) == (profile, host, level)


def test_a_file_goes_before_a_profile_and_its_own_table_of_the_profile_before_both(
    working_folder, monkeypatch
):
    (working_folder / "voltpay.toml").write_text(
        'host = "a"\nport = 1\n[ingest]\nbacklog_max = 500\n'
        "[profiles.docker]\nport = 2\n[profiles.docker.ingest]\ngroup_max = 7\n"
        "[profiles.test]\nport = 3\n"
    )
    monkeypatch.setenv("VOLTPAY_PROFILE", "docker")
    settings = read_settings()
    assert (settings.host, settings.port) == ("a", 2)
    assert (settings.ingest.backlog_max, settings.ingest.group_max) == (500, 7)
    monkeypatch.setenv("VOLTPAY_PORT", "4")
    assert read_settings().port == 4


def test_a_file_may_choose_the_profile_and_the_environment_goes_before_it(
    working_folder, monkeypatch
):
    (working_folder / "voltpay.toml").write_text('profile = "test"\n')
    assert read_settings().log_level == "warning"
    monkeypatch.setenv("VOLTPAY_PROFILE", "local")
    assert read_settings().log_level == "info"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('profile = "staging"', "the profile staging is none that there is"),
        ("[profiles.staging]\nport = 1", "[profiles.staging] in voltpay.toml"),
        ("profiles = 3", "profiles in voltpay.toml is no table"),
    ],
)
def test_a_profile_that_there_is_not_is_refused(working_folder, text, words):
    (working_folder / "voltpay.toml").write_text(text)
    with pytest.raises(Misconfigured) as refused:
        read_settings()
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SANDBOX": "true"}, "sandbox is true"),
        ({"LOG_URL": "kafka://h:1", "KAFKA__REPLICATION": "2"}, "kafka.replication is below 3"),
        ({"LOG_URL": "kafka://h:1", "KAFKA__IN_SYNC_MIN": "1"}, "kafka.in_sync_min below 2"),
    ],
)
def test_production_refuses_what_may_lose_real_money(monkeypatch, variables, words):
    monkeypatch.setenv("VOLTPAY_PROFILE", "production")
    for name, value in variables.items():
        monkeypatch.setenv(f"VOLTPAY_{name}", value)
    with pytest.raises(Misconfigured) as refused:
        read_settings()
    assert words in str(refused.value)
    monkeypatch.setenv("VOLTPAY_PROFILE", "docker")
    read_settings()


def test_config_says_where_each_setting_came_from(working_folder, monkeypatch, capsys):
    (working_folder / "voltpay.toml").write_text(
        'currency = "USD"\n[profiles.docker]\nport = 7\n[ingest]\ngroup_max = 9\n'
    )
    monkeypatch.setenv("VOLTPAY_ROUTING__DISPATCH__WORKERS_MAX", "9")
    monkeypatch.setenv("VOLTPAY_LEDGER", '{"batch_max": 77}')
    monkeypatch.setenv("VOLTPAY_PROFILE", "docker")
    lines = shown(monkeypatch, capsys)
    ends = {
        "currency": "from: voltpay.toml",
        "port": "from: voltpay.toml [profiles.docker]",
        "host": "from: profile docker",
        "group_max": "from: voltpay.toml",
        "workers_max": "from: environment VOLTPAY_ROUTING__DISPATCH__WORKERS_MAX",
        "partitions": "from: default",
    }
    for name, end in ends.items():
        assert lines[name].endswith(end), lines[name]
    assert [line for line in lines.values() if line.endswith("from: environment VOLTPAY_LEDGER")]


def test_the_option_goes_before_the_environment_and_reaches_processes_it_starts(
    monkeypatch, capsys
):
    monkeypatch.setenv("VOLTPAY_PROFILE", "docker")
    lines = shown(monkeypatch, capsys, "--profile", "test")
    assert lines["profile"].startswith("profile = test ")
    assert read_settings().profile == "test"
