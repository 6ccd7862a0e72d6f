"""A mistake in the settings is refused in one line: what is wrong, and how to mend it."""

import sys

import pytest
from tests.faults.refusals import refused

PROCESSOR = '[[processors]]\nname = "a"\nurl = "http://127.0.0.1:1"\nfee = 0.1\n'


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("VOLTPAY_PROT", "1", ("VOLTPAY_PROT names no setting", "did you mean VOLTPAY_PORT?")),
        (
            "VOLTPAY_INGEST__BACKLOG_MAXX",
            "7",
            ("VOLTPAY_INGEST__BACKLOG_MAXX", "did you mean VOLTPAY_INGEST__BACKLOG_MAX?"),
        ),
        (
            "VOLTPAY_ROUTING__DISPATCH__WORKER_MAX",
            "7",
            ("did you mean VOLTPAY_ROUTING__DISPATCH__WORKERS_MAX?",),
        ),
        ("VOLTPAY_ZZZZZZZZ", "1", ("VOLTPAY_ZZZZZZZZ names no setting", "see `voltpay config`")),
        ("VOLTPAY_PORT", "x", ("setting port is wrong", "valid integer")),
        ("VOLTPAY_SECRET", "short", ("setting secret is wrong", "shorter than 32 characters")),
        ("VOLTPAY_PROCESSORS", "[{", ('field "processors"', "give it as JSON")),
        (
            "VOLTPAY_PROCESSORS",
            '[{"name": "a", "urll": "http://x", "fee": "0.1"}]',
            ("no setting processors.0.urll", "did you mean processors.0.url?"),
        ),
        ("VOLTPAY_ROUTING__LANE", "x", ('field "routing"', "give it as JSON")),
    ],
)
def test_a_mistake_in_the_environment_is_refused(tmp_path, name, value, words):
    line = refused(tmp_path, "up", settings={name: value})
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", ("no setting prot", "did you mean port?")),
        ("[ingest]\nbacklog_mx = 1", ("ingest.backlog_mx", "did you mean ingest.backlog_max?")),
        (
            PROCESSOR + "max_procesing_ms = 1",
            ("processors.0.max_procesing_ms", "did you mean processors.0.max_processing_ms?"),
        ),
        ("port = ", ("voltpay.toml cannot be read", "mend it as TOML")),
    ],
)
def test_a_mistyped_name_or_a_torn_file_is_refused(tmp_path, text, words):
    (tmp_path / "voltpay.toml").write_text(text)
    line = refused(tmp_path, "up")
    assert all(word in line for word in words), line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port = 70000", ("setting port", "less than or equal to 65535")),
        ("partitions = 0", ("setting partitions", "greater than or equal to 1")),
        ('log_level = "loud"', ("setting log_level", "debug|info|warning|error")),
        ('currency = "EURO"', ("setting currency", "no ISO 4217 code")),
        ('[topics]\nsettled = "x"\nposted = "x"', ("topics", "two topics have the same name")),
        (PROCESSOR + PROCESSOR, ("setting processors", "two processors have the same name")),
        (PROCESSOR + 'adapter = "htp"', ("there is no adapter htp", "choose of: http")),
        (PROCESSOR.replace("http:", "ftp:"), ("setting processors.0.url", "^https?://")),
        (PROCESSOR.replace("0.1\n", "1.5\n"), ("processors.0.fee", "less than or equal to 1")),
        (
            PROCESSOR + "charge_timeout_ms = 2000\nmax_processing_ms = 1000",
            ("processors.0", "charge_timeout_ms is above max_processing_ms"),
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path, text, words):
    (tmp_path / "voltpay.toml").write_text(text)
    line = refused(tmp_path, "up")
    assert all(word in line for word in words), line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "lower", "upper"),
    [
        ("dispatch", "workers_min = 7", "workers_max = 6"),
        ("dispatch", "take_min = 21", "take_max = 20"),
        ("dispatch", "backlog_low = 300", "backlog_high = 200"),
        ("breaker", "pause_ms = 20", "pause_max_ms = 10"),
        ("lane", "limit_min = 20", "limit_start = 16"),
        ("resolve", "ask_first_ms = 2000", "ask_max_ms = 1000"),
    ],
)
def test_a_lower_bound_above_its_upper_one_is_refused(tmp_path, table, lower, upper):
    (tmp_path / "voltpay.toml").write_text(f"[routing.{table}]\n{lower}\n{upper}\n")
    line = refused(tmp_path, "up")
    below, above = (f"routing.{table}.{each.split()[0]}" for each in (lower, upper))
    assert f"{below} is above {above}" in line


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("no.toml", ("there is no file no.toml", "another --config")),
        (".", ("is a directory", "with --config")),
        pytest.param(
            "/proc/self/mem",
            ("/proc/self/mem cannot be read", "with --config"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's /proc"),
        ),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_is_refused(tmp_path, file, words):
    line = refused(tmp_path, "up", "--config", file).lower()
    assert all(word in line for word in words), line
