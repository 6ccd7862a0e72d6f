"""What doctor finds, and what the command line refuses: in one line, with exit code 2."""

import asyncio
import json
import sys

import pytest
import redis
from prometheus_client import REGISTRY
from tests.core.payments import payment

from voltpay.app.engines import open_engines
from voltpay.app.house import build
from voltpay.app.prepare import prepare
from voltpay.app.settings import read_settings
from voltpay.cli.checks import check_all
from voltpay.cli.main import main
from voltpay.core.messages import PaymentAccepted


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def engines(monkeypatch, log_url, cache_url, database_url):
    """External engines, by the environment."""
    monkeypatch.setenv("VOLTPAY_LOG_URL", log_url)
    monkeypatch.setenv("VOLTPAY_CACHE_URL", cache_url)
    monkeypatch.setenv("VOLTPAY_DATABASE_URL", database_url)
    monkeypatch.setenv("VOLTPAY_SECRET", "s" * 32)
    return monkeypatch


def verdicts():
    return {finding.name: finding.verdict for finding in check_all(None, None)}


def test_all_is_well_with_engines_that_are_prepared(engines):
    prepare(read_settings())
    assert set(verdicts().values()) == {"ok"}


def test_a_schema_that_is_behind_is_found_and_says_the_mend(engines, empty_database_url):
    engines.setenv("VOLTPAY_DATABASE_URL", empty_database_url)
    found = verdicts()
    assert "voltpay migrate up" in found["schema"]
    assert found["database"] != "ok"
    assert found["cache"] == "ok"


@pytest.mark.parametrize("name", ["log", "cache", "database"])
def test_an_engine_that_is_away_is_found_and_the_others_are_looked_at(engines, tmp_path, name):
    prepare(read_settings())
    nowhere = {"database": f"postgresql://me@/voltpay?host={tmp_path}"}
    engines.setenv(f"VOLTPAY_{name.upper()}_URL", nowhere.get(name, f"unix://{tmp_path}/s"))
    found = verdicts()
    assert found[name] != "ok"
    others = {"log", "cache", "database"} - {name}
    assert {found[each] for each in others} == {"ok"}


def test_a_log_that_is_full_is_found(engines, log_url):
    prepare(read_settings())
    with redis.Redis.from_url(log_url) as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", used + 1_000)
    assert "memory is full" in verdicts()["log"]


def test_a_log_that_could_lose_what_it_confirmed_is_found(engines, log_url):
    prepare(read_settings())
    with redis.Redis.from_url(log_url) as client:
        client.config_set("appendfsync", "everysec")
        try:
            assert "appendfsync" in verdicts()["log"]
        finally:
            client.config_set("appendfsync", "always")
    assert verdicts()["log"] == "ok"


def test_standbys_that_are_none_or_away_are_found(engines, tmp_path, database_url):
    prepare(read_settings())
    away = f"postgresql://me@/voltpay?host={tmp_path}"
    engines.setenv("VOLTPAY_REPLICA_URLS", json.dumps([database_url, away]))
    found = verdicts()
    assert "is no standby" in found["replica-1"]
    assert "does not answer" in found["replica-2"]
    assert found["database"] == "ok"


def test_the_backlog_of_every_group_is_counted(engines):
    settings = read_settings()
    prepare(settings)

    async def count():
        opened = open_engines(settings, "test")
        house = build(settings, opened)
        (periodic,) = (each for each in house.parts["log"].periodics if each.name == "log.count")
        await opened.log.append(house.publish([PaymentAccepted(payment())]))
        await periodic.run()
        await house.close()
        await opened.close()

    asyncio.run(count())

    def gauge(topic, group):
        labels = {"topic": topic, "group": group}
        return REGISTRY.get_sample_value("voltpay_log_backlog", labels)

    assert gauge("payment.accepted", "routing") == 1
    assert gauge("payment.settled", "ledger") == 0
    lags = {
        sample.labels["partition"]: sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "voltpay_consumer_lag"
        and (sample.labels["topic"], sample.labels["group"]) == ("payment.settled", "ledger")
    }
    assert lags == dict.fromkeys(map(str, range(settings.partitions)), 0)


def said(monkeypatch, capsys, *words):
    """(exit code, what was written to stdout, what to stderr) of a command."""
    monkeypatch.setattr(sys, "argv", ["voltpay", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["reconcile", "--data", "typo"], "there is no installation in"),
        (["rebuild", "--data", "typo"], "there is no installation in"),
        (["dead", "list", "--data", "typo"], "there is no installation in"),
        (["migrate", "status", "--data", "typo"], "there is no installation in"),
        (["doctor", "--data", "typo"], "there is no installation in"),
        (["reconcile", "--from", "tomorrow"], "--from is tomorrow"),
        (["reconcile", "--to", "2030-01-01T00:00:00"], "--to has no zone"),
        (["reconcile", "--history", "nowhere"], "nowhere cannot be read"),
        (
            ["reconcile", "--history", "nowhere", "--to", "2030-01-01T00:00:00Z"],
            "a history has no window",
        ),
        (["run", "ledger"], "`voltpay run` needs engines"),
        (["up", "--sandbox-ports", "1"], "--sandbox-ports is 1"),
        (["config", "--config", "no.toml"], "there is no file no.toml"),
    ],
)
def test_a_command_that_cannot_run_says_so_in_one_line(
    monkeypatch, capsys, working_folder, words, line
):
    code, out, err = said(monkeypatch, capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("voltpay: ")
    assert line in err
    assert list(working_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "nobody"], "there is no role nobody"),
        (["run", "ledger", "routing", "--port", "1"], "--port goes with one role"),
        (["migrate", "sideways"], "migrate does not know sideways"),
        (["dead", "show", "999"], "no dead letter has this id"),
        (["up", "--replica"], "--replica starts a standby of the embedded PostgreSQL"),
    ],
)
def test_a_command_with_engines_refuses_what_it_does_not_know(
    engines, monkeypatch, capsys, words, line
):
    code, out, err = said(monkeypatch, capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err


def test_a_database_without_a_schema_is_refused_with_the_mend(
    engines, monkeypatch, capsys, empty_database_url
):
    engines.setenv("VOLTPAY_DATABASE_URL", empty_database_url)
    code, _, err = said(monkeypatch, capsys, "dead", "list")
    assert (code, err.count("\n")) == (2, 1)
    assert "voltpay migrate up" in err


def test_config_masks_secrets_and_the_passwords_of_addresses(monkeypatch, capsys):
    monkeypatch.setenv("VOLTPAY_LOG_URL", "redis://:geheim@host:1/0")
    monkeypatch.setenv("VOLTPAY_CACHE_URL", "rediss://me:secreto@host:2/0")
    monkeypatch.setenv("VOLTPAY_DATABASE_URL", "postgresql://me:hunter2@host/db")
    monkeypatch.setenv(
        "VOLTPAY_PROCESSORS",
        '[{"name": "real", "url": "https://me:tajne@processor/v1", "fee": "0.1"}]',
    )
    code, out, _ = said(monkeypatch, capsys, "config")
    assert code == 0
    for secret in ("geheim", "secreto", "hunter2", "tajne"):
        assert secret not in out
    assert "redis://:********@host:1/0" in out
    assert "database_url = ********" in out
