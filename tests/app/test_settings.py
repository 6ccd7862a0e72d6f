"""Settings: where they come from and in what order, and a word about each that is wrong."""

from decimal import Decimal

import pytest

from voltpay.app.settings import Settings, read_settings
from voltpay.core.errors import Misconfigured

PROCESSOR = '[[processors]]\nname = "{name}"\nurl = "http://127.0.0.1:1/"\nfee = {fee}\n'


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wrong(file=None, **flags):
    """The one line that a wrong setting is answered with."""
    with pytest.raises(Misconfigured) as raised:
        read_settings(file, flags)
    line = str(raised.value)
    assert "\n" not in line
    return line


def test_without_anything_said_the_defaults_are_in_force():
    settings = read_settings()
    assert settings == Settings()
    assert (settings.port, settings.is_embedded, settings.currency) == (9999, True, "EUR")


def test_flags_go_before_the_environment_and_the_environment_before_the_file(
    working_folder, monkeypatch
):
    (working_folder / "voltpay.toml").write_text('port = 1\nhost = "a"\ncurrency = "USD"\n')
    monkeypatch.setenv("VOLTPAY_PORT", "2")
    monkeypatch.setenv("VOLTPAY_HOST", "b")
    settings = read_settings(None, {"port": 3, "host": None})
    assert (settings.port, settings.host, settings.currency) == (3, "b", "USD")


def test_file_and_environment_share_a_table(working_folder, monkeypatch):
    (working_folder / "voltpay.toml").write_text("[ingest]\nbacklog_max = 777\ngroup_max = 7\n")
    monkeypatch.setenv("VOLTPAY_INGEST__GROUP_MAX", "8")
    monkeypatch.setenv("VOLTPAY_ROUTING__DISPATCH__WORKERS_MAX", "9")
    settings = read_settings(None, {"port": 5})
    assert (settings.ingest.backlog_max, settings.ingest.group_max) == (777, 8)
    assert settings.routing.dispatch.workers_max == 9


def test_another_file_is_read_where_it_is_named(working_folder):
    other = working_folder / "other.toml"
    other.write_text("port = 4\n" + PROCESSOR.format(name="real", fee="0.05"))
    (processor,) = read_settings(other).processors
    assert (processor.name, processor.url, processor.fee) == (
        "real",
        "http://127.0.0.1:1",
        Decimal("0.05"),
    )
    assert read_settings().port == 9999


def test_processors_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("VOLTPAY_PROCESSORS", '[{"name": "real", "url": "http://x", "fee": "0.1"}]')
    assert read_settings().processors[0].fee == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("port = ", "voltpay.toml cannot be read"),
        ("prot = 1", "there is no setting prot: did you mean port?"),
        ("zzzzzz = 1", "there is no setting zzzzzz: remove it"),
        ("[ingest]\nbacklog_mx = 1", "there is no setting ingest.backlog_mx: did you mean"),
        ('port = "x"', "the setting port is wrong: input should be a valid integer"),
        ("port = 0", "the setting port is wrong: input should be greater than or equal to 1"),
        ("[ledger]\nbatch_max = 0", "the setting ledger.batch_max is wrong"),
        ('currency = "EURO"', "the setting currency is wrong: no ISO 4217 code"),
        ('secret = "short"', "the setting secret is wrong: shorter than 32 characters"),
        ('log_level = "loud"', "the setting log_level is wrong"),
        ('[topics]\nsettled = "a b"', "the setting topics.settled is wrong"),
        (
            '[topics]\nsettled = "x"\nposted = "x"',
            "the setting topics is wrong: two topics have the same name",
        ),
        (
            PROCESSOR.format(name="a", fee=0.1) + PROCESSOR.format(name="a", fee=0.1),
            "the setting processors is wrong: two processors have the same name",
        ),
        (PROCESSOR.format(name="a", fee=1.1), "the setting processors.0.fee is wrong"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_one_line_with_the_mend(working_folder, text, line):
    (working_folder / "voltpay.toml").write_text(text)
    assert wrong().startswith(line)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("workers_min = 7", "workers_max = 6"),
        ("take_min = 21", "take_max = 20"),
        ("backlog_low = 300", "backlog_high = 200"),
    ],
)
def test_bounds_that_no_value_can_meet_are_refused(working_folder, lower, upper):
    table = f"[routing.dispatch]\n{lower}\n{upper}\n"
    (working_folder / "voltpay.toml").write_text(table)
    names = [f"routing.dispatch.{each.split()[0]}" for each in (lower, upper)]
    assert wrong() == f"the settings contradict each other: {names[0]} is above {names[1]}"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("VOLTPAY_PORT", "0", "the setting port is wrong"),
        ("VOLTPAY_PROT", "1", "VOLTPAY_PROT names no setting: did you mean VOLTPAY_PORT?"),
        ("VOLTPAY_ZZZZZZZZZZ", "1", "names no setting: see `voltpay config`"),
        ("VOLTPAY_INGEST__BACKLOG", "1", "did you mean VOLTPAY_INGEST__BACKLOG_MAX?"),
        ("VOLTPAY_PROCESSORS", "[{", 'field "processors"'),
        ("VOLTPAY_INGEST", "{", 'field "ingest"'),
    ],
)
def test_what_is_wrong_in_the_environment_is_said_in_one_line(monkeypatch, name, value, line):
    monkeypatch.setenv(name, value)
    assert line in wrong()


def test_variables_of_tests_and_of_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("VOLTPAY_TEST_ANYTHING", "1")
    monkeypatch.setenv("VOLT", "1")
    assert read_settings() == Settings()


def test_a_wrong_flag_is_refused_as_a_wrong_setting_is():
    assert wrong(port=70_000).startswith("the setting port is wrong")


def test_a_file_that_was_named_must_be_there(working_folder):
    assert wrong(working_folder / "no.toml").startswith("there is no file")
    assert "cannot be read" in wrong(working_folder)


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch):
    monkeypatch.setenv("VOLTPAY_SECRET", "x" * 40)
    monkeypatch.setenv("VOLTPAY_DATABASE_URL", "postgresql://me:hunter2@host/db")
    text = repr(read_settings())
    assert "xxxx" not in text
    assert "hunter2" not in text


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        read_settings().port = 1
