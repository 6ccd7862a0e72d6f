"""Every command of the command line, on a running installation, by its effects."""

import json
import re


def test_version_says_the_version(stack):
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", stack.run("version").stdout)


def test_help_lists_every_family(stack):
    shown = stack.run("--help").stdout
    for name in ("up", "run", "demo", "migrate", "rebuild", "reconcile", "dead", "topology"):
        assert name in shown


def test_topology_is_read_from_the_registered_stages(stack):
    shown = stack.run("topology").stdout
    for name in ("route", "post", "project", "shelve", "payment.settled"):
        assert name in shown


def test_config_shows_settings_and_masks_secrets(stack):
    stack.settings["VOLTPAY_SECRET"] = "x" * 40
    try:
        shown = stack.run("config").stdout
    finally:
        del stack.settings["VOLTPAY_SECRET"]
    assert "VOLTPAY_INGEST__BACKLOG_MAX" in shown
    assert "x" * 40 not in shown
    assert "********" in shown


def test_doctor_finds_every_engine_well(stack):
    shown = stack.run("doctor", "--data", str(stack.folder)).stdout
    for engine in ("log", "cache", "database", "schema"):
        assert re.search(rf"{engine}\s+ok", shown)


def test_migrate_status_lists_what_is_applied(stack):
    shown = stack.run("migrate", "status", "--data", str(stack.folder)).stdout
    assert "0003" in shown
    assert "applied" in shown


def test_rebuild_ends_with_the_same_content(stack):
    payment_id = stack.pay(2, accountId="rebuilt")
    stack.until_status(payment_id, "completed")
    before = stack.call("GET", "/accounts/rebuilt/transactions")[2]
    shown = stack.run("rebuild", "--data", str(stack.folder)).stdout
    assert "rebuilt from" in shown
    assert stack.call("GET", "/accounts/rebuilt/transactions")[2] == before
    told = stack.run("reconcile", "--data", str(stack.folder), "--json", "verdict.json")
    assert "It adds up" in told.stdout
    assert json.loads((stack.folder / "verdict.json").read_text())["holds"] is True


def test_reconcile_bounds_its_window(stack):
    shown = stack.run(
        "reconcile",
        "--data",
        str(stack.folder),
        "--from",
        "2001-01-01T00:00:00Z",
        "--to",
        "2001-01-02T00:00:00Z",
    )
    assert re.search(r"completed\s+0", shown.stdout)


def test_clean_leaves_what_is_young(stack):
    stack.run("clean", "--data", str(stack.folder))
    assert "It adds up" in stack.run("reconcile", "--data", str(stack.folder)).stdout


def test_dead_list_is_empty(stack):
    shown = stack.run("dead", "list", "--data", str(stack.folder)).stdout
    assert "letter" in shown


def test_the_logs_are_json_and_hold_no_personal_data(stack):
    payment_id = stack.pay(4, email="secret.person@example.org", description="very private")
    stack.until_status(payment_id, "completed")
    text = (stack.folder / "voltpay.log").read_text()
    assert text
    for line in text.splitlines():
        assert json.loads(line)["role"]
    assert "secret.person" not in text
    assert "very private" not in text
