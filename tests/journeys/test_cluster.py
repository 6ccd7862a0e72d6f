"""Out of one machine: three brokers, 100 partitions, two of every role, a standby, the gateway.

Processes parsed from deploy/compose.yaml. While payments come, a leading broker, every role and the
standby are killed, and members of the groups join and leave; then all must add up, id by id.
"""

import time
from pathlib import Path

import pytest
from tests import next_release
from tests.brokers import free_ports
from tests.journeys import cluster
from tests.positions import set_all_back

import voltpay

pytestmark = pytest.mark.slow
RATE_PER_S = 360
STORM_S = 60
STORM_EVERY_S = 2
EXPAND = f"""-- serves: {next_release.LAST}
alter table inquiry.payment add column next_release text not null default '';
alter table ledger.payment add column next_release text not null default '';
alter table routing.attempt add column next_release text;
"""
CONTRACT = """
alter table inquiry.payment drop column next_release;
alter table ledger.payment drop column next_release;
alter table routing.attempt drop column next_release;
"""


@pytest.fixture(scope="module")
def wide():
    """The cluster of the profile full."""
    with cluster.running("full") as made:
        yield made


def until_accepted(load, count):
    """Return once so many payments were promised: at a pace, and after brokers have come back."""
    end = time.monotonic() + 120 + count / 50
    while load.accepted < count:
        assert time.monotonic() < end, load.statuses
        time.sleep(0.2)


@pytest.mark.parametrize(
    "payments", [30_000, pytest.param(100_000, marks=pytest.mark.cluster)], ids="{:_}".format
)
def test_payments_while_everything_dies_once(wide, payments, record_property):
    began = time.monotonic()
    with wide.load(RATE_PER_S, payments) as load:
        until_accepted(load, 3_000)
        wide.cluster.kill(wide.leader())
        for number, role in enumerate(cluster.ROLES, start=1):
            time.sleep(8)
            wide.cluster.kill(f"{role}-{1 + number % 2}")
        time.sleep(8)
        wide.cluster.kill("replica-1")
        storm(wide)
        until_accepted(load, payments)
        elapsed = time.monotonic() - began
    record_property("accepted per second", load.accepted / elapsed)
    verdict = wide.reconciled()
    assert wide.cluster.is_running("replica-1")
    assert set_all_back(wide.settings()) > payments
    assert wide.reconciled() == verdict


def storm(wide):
    """Members of every group join and leave, a change every two seconds."""
    roles = ("routing", "ledger", "projection")
    ports = free_ports(len(roles))
    end = time.monotonic() + STORM_S
    turn = 0
    while time.monotonic() < end:
        with wide.member(roles[turn % 3], ports[turn % 3]):
            time.sleep(STORM_EVERY_S)
        turn += 1
    assert turn >= STORM_S // STORM_EVERY_S // 3


@pytest.mark.cluster
def test_a_newer_release_comes_beside_the_old_one_and_goes_again(wide, tmp_path, record_property):
    newer = next_release.made(tmp_path / "next", EXPAND, CONTRACT)
    next_release.change(
        newer / "voltpay" / "core" / "messages.py",
        '    declined: str = ""\n',
        '    declined: str = ""\n    note: str = "of the next release"\n',
    )
    code = Path(voltpay.__file__).parents[1]
    with wide.load(100, 33) as load:
        until_accepted(load, 500)
        migrated = wide.run("migrate", "up", PYTHONPATH=str(newer))
        assert f"applied: {next_release.REVISION}" in migrated.stdout, migrated.stderr
        wide.roll(str(newer), next_release.VERSION)
        until_accepted(load, load.accepted + 500)
        wide.roll(str(code), voltpay.__version__)
        until_accepted(load, load.accepted + 500)
    record_property("answers while releases changed", dict(load.statuses))
    # 422: another amount under the same id, which the load sends on purpose.
    assert load.statuses.keys() <= {"202", "422"}, (load.statuses, load.troubles)
    wide.reconciled()
    undone = wide.run("migrate", "down", next_release.LAST, "--destroy-data", PYTHONPATH=str(newer))
    assert undone.returncode == 0, undone.stderr
    wide.reconciled()


def test_with_two_of_three_brokers_down_nothing_is_promised_that_is_not_kept(wide):
    with wide.load(100, 32) as load:
        until_accepted(load, 500)
        for name in ("kafka-2-1", "kafka-3-1"):
            wide.cluster.stop(name, 9)
        time.sleep(6)
        before, held = dict(load.statuses), load.accepted
        time.sleep(8)
        came = {name: count - before.get(name, 0) for name, count in load.statuses.items()}
        assert came.get("503", 0) > 100, came
        # A repeat of what was promised before is told so again: that is no new promise.
        assert load.accepted == held, came
        for name in ("kafka-2-1", "kafka-3-1"):
            wide.cluster.start(name)
        promised = load.accepted
        until_accepted(load, promised + 500)
    wide.reconciled()
