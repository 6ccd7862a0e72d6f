"""A mistake on the command line, at a port or with a folder is refused in one line with its mend.

Its siblings: `test_people_err_settings.py`, `test_people_err_engines.py`.
"""

import os
import socket
from pathlib import Path

import pytest
from tests.faults.refusals import refused, refused_up
from tests.stack import free_ports

from voltpay.foundation.engines.embedded import EmbeddedEngines, secret

NOBODY = 65_534
LATE, EARLY = "2030-01-02T00:00:00Z", "2030-01-01T00:00:00Z"


@pytest.fixture
def prepared(folder, request):
    """A folder of engines that were started once, with the settings that `up` remembers."""
    data = folder / f"prepared-{abs(hash(request.node.name))}"
    engines = EmbeddedEngines(data, log_memory_bytes=2**26, cache_memory_bytes=2**24)
    engines.start()
    engines.stop()
    secret(data)
    (data / "installation.json").write_text('{"sandbox_ports": [1, 2]}')
    return data


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["upp"], "no such command 'upp'. Did you mean 'up'?: see `voltpay --help`"),
        (["up", "--prot", "1"], "no such option: --prot (Possible options: --host, --port)"),
        (["up", "--port", "x"], "'--port': Input should be a valid integer"),
        (["up", "--port", "0"], "port is wrong: input should be greater than or equal to 1"),
        (["up", "--port", "70000"], "port is wrong: input should be less than or equal to 65535"),
        (["up", "--host", "not a host"], "choose another with --host"),
        (["up", "--data", "~no-such-user/x"], "write --data in full"),
        (["up", "--sandbox-ports", "8001"], "--sandbox-ports is 8001: give two ports, as in"),
        (["up", "--sandbox-ports", "a,b"], "--sandbox-ports is a,b: give two ports, as in"),
        (["up", "--sandbox-ports", "1,70000"], "--sandbox-ports is 1,70000: give two ports"),
        (["up", "--sandbox-ports", ""], "--sandbox-ports is : give two ports, as in"),
        (["run"], "missing argument 'roles': see `voltpay run --help`"),
        (["run", "legder"], "there is no role legder: choose of api, ingest"),
        (["run", "ledger"], "needs engines: set VOLTPAY_LOG_URL"),
        (["run", "ledger", "--port", "0"], "'--port': Input should be greater than or equal to 1"),
        (["run", "ledger", "routing", "--port", "1"], "run each role by a command of its own"),
        (["migrate", "sideways"], "migrate does not know sideways: use up, status, or down"),
        (["migrate", "down"], "down needs a revision: name it, as in 0004"),
        (["migrate", "down", "0001"], "add --destroy-data if that is meant"),
        (["reconcile", "--from", "nonsense"], "--from is nonsense: give it as in 2030-01-31T"),
        (["reconcile", "--to", "2030-01-01"], "--to has no zone: end it with Z"),
        (["reconcile", "--to", "0001-01-01T00:00:00+10:00"], "give it as in 2030-01-31T"),
        (["reconcile", "--from", LATE, "--to", EARLY], f"is after --to {EARLY}: swap them"),
        (["reconcile", "--history", "none"], "none cannot be read: give the history of a load"),
        (["reconcile", "--history", "torn"], "line 1 of torn is no line of a history"),
        (["reconcile"], "there is no installation in"),
        (["rebuild", "--data", "torn"], "name its folder with --data, or `voltpay up`"),
        (["dead", "list"], "there is no installation in"),
        (["dead", "show", "abc"], "'letter': Input should be a valid integer"),
        (["dead", "discard", "7"], "missing option '--reason': see `voltpay dead discard --help`"),
        (["demo", "--seconds", "1"], "'--seconds': Input should be greater than or equal to 6"),
        (["demo", "--data", "torn"], "torn cannot be made (File exists): choose another with --d"),
    ],
)
def test_a_command_that_is_not_one_is_refused(tmp_path, words, line):
    (tmp_path / "torn").write_text("{\n")
    assert line in refused(tmp_path, *words)


def test_a_port_in_use_or_given_twice_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused_up(tmp_path, "data", "--port", port)
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in line
        assert "choose another with --port" in line
        line = refused_up(tmp_path, "data", "--sandbox-ports", f"{port},{free_ports(1)[0]}")
        assert f"cannot listen on 127.0.0.1:{port}" in line
        assert "choose another with --sandbox-ports" in line
    (once,) = free_ports(1)
    line = refused_up(tmp_path, "data", "--sandbox-ports", f"{once},{once}")
    assert f"port {once} is given twice: choose another with --sandbox-ports" in line


def test_a_folder_in_use_is_refused_and_goes_on(stack, tmp_path):
    line = refused_up(tmp_path, stack.folder)
    assert f"{stack.folder} is in use by another voltpay up" in line
    assert "choose another --data" in line
    line = refused(tmp_path, "migrate", "down", "base", "--destroy-data", "--data", stack.folder)
    assert "`voltpay up` runs on it: stop it first" in line
    stack.until_status(stack.pay(1), "completed")


def test_a_letter_that_there_is_not_is_refused(stack, tmp_path):
    for words in (["show", "999"], ["replay", "999"], ["discard", "999", "--reason", "none"]):
        line = refused(tmp_path, "dead", *words, "--data", stack.folder)
        assert line == (
            "voltpay: no dead letter has this id: `voltpay dead list` shows which there are\n"
        )


def test_a_place_that_is_no_folder_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    for data in (file, file / "data"):
        line = refused_up(tmp_path, data)
        assert str(file) in line
        assert "choose another folder with --data" in line
    assert file.read_text() == "kept"


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    place = tmp_path / "read-only"
    place.mkdir(mode=0o555)
    data = place / "data" if os.getuid() else Path("/proc/voltpay")
    line = refused_up(tmp_path, data)
    assert str(data) in line
    assert "choose another folder with --data" in line


def test_a_folder_that_others_may_write_into_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    assert f"chmod go-w {data}" in refused_up(tmp_path, data)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root gives a folder to another user: run the tests as root"
)
def test_a_folder_of_another_user_is_refused(tmp_path):
    lock = tmp_path / "data" / "supervisor.lock"
    lock.parent.mkdir()
    lock.touch()
    os.chown(lock, NOBODY, NOBODY)
    line = refused_up(tmp_path, tmp_path / "data")
    assert "belongs to user nobody" in line
    assert "run voltpay as that user" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is damaged: `voltpay up` writes it anew"), ("[]", "is damaged"), ('{"a": 1}', "is d")],
)
def test_a_damaged_note_of_the_ports_is_refused(tmp_path, text, words):
    (tmp_path / "installation.json").write_text(text)
    assert words in refused(tmp_path, "reconcile", "--data", tmp_path)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda kept: kept.write_bytes(b"short"), ("is cut short", "restore it from a backup")),
        (lambda kept: kept.chmod(0o644), ("others may read the secret", "chmod 600")),
    ],
)
@pytest.mark.parametrize("command", ["up", pytest.param("reconcile", marks=pytest.mark.slow)])
def test_a_secret_that_is_unfit_is_refused_and_no_engine_is_left(
    tmp_path, prepared, command, mistake, words
):
    mistake(prepared / "secret")
    if command == "up":
        line = refused_up(tmp_path, prepared)
    else:
        line = refused(tmp_path, command, "--data", prepared)
    assert all(word in line for word in words), line
    assert str(prepared / "secret") in line
    assert not list(prepared.glob("*/server.pid"))


def test_a_cluster_of_another_postgresql_is_refused(folder, tmp_path):
    data = folder / "older"
    cluster = data / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    line = refused_up(tmp_path, data)
    assert "is of PostgreSQL 17, this Voltpay brings" in line
    assert "use the Voltpay that made it" in line
    assert (cluster / "PG_VERSION").read_text() == "17\n"
    assert [each.name for each in cluster.iterdir()] == ["PG_VERSION"]
