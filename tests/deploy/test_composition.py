"""compose.yaml is one that Compose takes, names what there is, and gives away nothing too much."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.house.tree import ROOT

from loopback.__main__ import DEPLOY
from loopback.composition import Places, Unfit, environment_of, filled, read
from voltpay.app.environment import variables_of
from voltpay.app.roles import ROLES
from voltpay.app.settings import PREFIX, Settings

FILE = DEPLOY / "compose.yaml"
PROFILES = ("small", "full", "wide")
SECRETS = re.findall(r"\$\{(\w+):\?run tools/secrets\}", FILE.read_text())
SERVICES = yaml.safe_load(FILE.read_text())["services"]


def instances(profile, **given):
    """A profile's instances, with a word for every secret."""
    variables = environment_of(
        [DEPLOY / f"{profile}.env"], dict.fromkeys(SECRETS, "s" * 48) | given
    )
    return read(FILE, variables, profile, Places(Path("/state"), 77, {}))


def test_it_fits_the_published_schema():
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_file_that_does_not_fit_is_told_apart(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("restart: unless-stopped", "restarts: often", 1))
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            wrong,
        ],
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_every_file_that_a_profile_mounts_is_there(profile):
    for instance in instances(profile):
        for target, path in instance.mounts.items():
            if str(path).startswith(str(ROOT)) and "certs" not in target:
                assert path.exists(), (instance.name, path)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_variable_of_ours_names_a_setting_and_all_are_taken(profile, monkeypatch):
    known = set(variables_of(Settings, PREFIX))
    for instance in instances(profile):
        own = {n: v for n, v in instance.environment.items() if n.startswith(PREFIX)}
        assert own.keys() <= known, instance.name
        with monkeypatch.context() as patched:
            for name, value in own.items():
                patched.setenv(name, value)
            if own:
                Settings()


def test_each_service_has_the_password_of_its_own_role_and_no_other():
    for role in ("ingest", "routing", "ledger", "projection", "inquiry"):
        text = json.dumps(SERVICES[role])
        passwords = set(re.findall(r"\$\{(\w+_PASSWORD)", text)) - {
            "CLAIMS_PASSWORD",
            "CACHE_PASSWORD",
        }
        assert passwords == {f"{role.upper()}_PASSWORD"}, role
        assert f"postgresql://voltpay_{role}:" in text
        assert SERVICES[role]["command"] == ["run", role]
    assert {"ingest", "routing", "ledger", "projection", "inquiry"} <= {r.name for r in ROLES}


def test_how_many_of_what_a_profile_starts():
    counts = {}
    for profile in PROFILES:
        found = [instance.service for instance in instances(profile)]
        counts[profile] = {
            "brokers": len([name for name in found if re.fullmatch(r"kafka(-\d)?", name)]),
            "replicas": found.count("replica"),
            "ledgers": found.count("ledger"),
        }
    assert counts == {
        "small": {"brokers": 1, "replicas": 0, "ledgers": 1},
        "full": {"brokers": 3, "replicas": 1, "ledgers": 2},
        "wide": {"brokers": 5, "replicas": 1, "ledgers": 4},
    }


def test_our_containers_are_read_only_without_capabilities_and_no_root():
    for name, service in SERVICES.items():
        if str(service["image"]).startswith("voltpay"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
    image = (DEPLOY / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in image
    assert image.count("\nFROM ") + image.startswith("FROM ") == 2


def test_addresses_paths_and_names_become_what_they_are_here():
    found = {instance.name: instance for instance in instances("full")}
    kafka, ledger = found["kafka-2-1"], found["ledger-2"]
    assert kafka.environment["KAFKA_LISTENERS"].startswith(f"PLAINTEXT://{kafka.address}:9092")
    assert kafka.environment["KAFKA_LOG_DIRS"] == "/state/volumes/kafka-2"
    assert (
        f"@{found['postgres-1'].address}:5432/voltpay" in ledger.environment["VOLTPAY_DATABASE_URL"]
    )
    assert ledger.command == ["run", "ledger"]
    assert ledger.address != found["ledger-1"].address
    assert found["gateway-1"].environment["INGEST"] == "ingest:8080"


def test_a_secret_that_is_not_made_is_asked_for():
    with pytest.raises(Unfit, match="run tools/secrets"):
        read(FILE, {"LOG_URL": "kafka://kafka:9092"}, "small", Places(Path("/state"), 77, {}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"),
        ("${B:-2}", "2"),
        ("${A:-2}", "1"),
        ("x${A}y${C:-}z", "x1yz"),
        ('${B:-[{"a": 1}]}', '[{"a": 1}]'),
    ],
)
def test_variables_are_filled_in_as_compose_does(text, value):
    assert filled(text, {"A": "1"}) == value
