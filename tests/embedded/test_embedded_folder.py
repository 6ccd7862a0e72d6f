"""A data folder that is unfit is refused in one line that says how to mend it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Installation

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import EmbeddedEngines, installed_urls, secret

TRY = """
import sys
from pathlib import Path
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.embedded import EmbeddedEngines
try:
    EmbeddedEngines(Path(sys.argv[1])).start()
except Misconfigured as error:
    print(error)
"""


def refusal(data: Path) -> str:
    """What starting in a folder is refused with."""
    with pytest.raises(Misconfigured) as caught:
        EmbeddedEngines(data).start()
    assert "\n" not in str(caught.value)
    assert caught.value.mend
    return str(caught.value)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert "it is no folder" in refusal(tmp_path / "data")


def test_a_file_above_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in refusal(tmp_path / "file" / "data")


def test_a_folder_that_everybody_may_write_into(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    assert f"chmod go-w {tmp_path / 'data'}" in refusal(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the owner")
def test_an_installation_of_another_user(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "supervisor.lock").touch()
    os.chown(data / "supervisor.lock", 65534, 65534)
    assert "belongs to user nobody" in refusal(data)


@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    may_read = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    (tmp_path / "data").mkdir()
    tried = subprocess.run(
        [*user, *may_read, sys.executable, "-c", TRY, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written to" in tried.stdout


def test_a_cluster_of_another_version(installation: Installation, tmp_path: Path) -> None:
    cluster = tmp_path / "data" / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("17\n")
    assert "is of PostgreSQL 17, this Voltpay brings 18" in refusal(tmp_path / "data")


def test_a_log_that_does_not_load_names_where_to_look(tmp_path: Path) -> None:
    kept = tmp_path / "data" / "log" / "appendonlydir"
    kept.mkdir(parents=True)
    (kept / "appendonly.aof.manifest").write_text("garbage\n")
    said = refusal(tmp_path / "data")
    assert "log did not start" in said
    assert "MANIFEST" in said
    assert str(tmp_path / "data" / "log" / "server.log") in said


def test_a_cluster_that_is_damaged_says_so(tmp_path: Path) -> None:
    engines = EmbeddedEngines(tmp_path / "data")
    engines.start()
    engines.stop()
    control = tmp_path / "data" / "postgres" / "cluster" / "global" / "pg_control"
    control.write_bytes(b"")
    said = refusal(tmp_path / "data")
    assert "postgres did not start" in said
    assert "pg_control" in said
    assert installed_urls(tmp_path / "data") is None


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "data" / "postgres" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    engines = EmbeddedEngines(tmp_path / "data")
    try:
        engines.start()
        assert not half.exists()
    finally:
        engines.stop()
        shutil.rmtree(tmp_path / "data")


def test_the_secret_is_made_once_and_ours_alone(tmp_path: Path) -> None:
    made = secret(tmp_path / "data")
    assert len(made) >= 32
    assert secret(tmp_path / "data") == made
    assert secret(tmp_path / "other") != made
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret(tmp_path)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        secret(tmp_path)


def test_a_secret_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    secret(tmp_path)
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(Misconfigured, match="cut short"):
        secret(tmp_path)


def test_addresses_are_known_exactly_while_it_runs(
    installation: Installation, tmp_path: Path
) -> None:
    assert installed_urls(installation.data) == installation.urls
    assert installed_urls(tmp_path) is None
    assert installed_urls(tmp_path / "nowhere") is None
