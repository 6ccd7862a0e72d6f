"""`voltpay bench` on a log on Kafka beside one on Redis: brokers as deploy/compose.yaml has them.

    PYTHONPATH=deploy python benchmarks/on_kafka.py --brokers 3 -- --rounds 5

What follows `--` goes to `voltpay bench`. Three brokers hold a record on two before they confirm
it; one broker confirms what only its own memory has, which is no promise.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from loopback.__main__ import opened
from loopback.cluster import until
from loopback.composition import Unfit

NETWORK = 79
PORT = 9092
READY_S = 120.0
SETTINGS = {
    1: ("small", ("kafka",), {"REPLICATION": "1", "IN_SYNC_MIN": "1"}),
    3: ("full", ("kafka-1", "kafka-2", "kafka-3"), {"REPLICATION": "3", "IN_SYNC_MIN": "2"}),
}


def main() -> int:
    """The program."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--brokers", type=int, choices=sorted(SETTINGS), default=3)
    asked.add_argument("rest", nargs="*", help="of `voltpay bench`, behind --")
    given = asked.parse_args()
    profile, services, copies = SETTINGS[given.brokers]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    state = Path(tempfile.mkdtemp(prefix="voltpay-bench-kafka-"))
    try:
        with opened(profile, state, dict(os.environ), NETWORK, services) as cluster:
            hosts = [each.address for each in cluster.instances.values()]
            for host in hosts:
                until(lambda host=host: answers(host), READY_S, f"the broker at {host}")
            url = "kafka://" + ",".join(f"{host}:{PORT}" for host in hosts)
            told = {f"VOLTPAY_KAFKA__{name}": value for name, value in copies.items()}
            command = [sys.executable, "-m", "voltpay", "bench", "--kafka", url, *given.rest]
            return subprocess.run(command, env={**os.environ, **told}, check=False).returncode
    except Unfit as error:
        sys.exit(f"bench on Kafka: {error}")
    finally:
        shutil.rmtree(state, ignore_errors=True)


def answers(host: str) -> bool:
    """Whether somebody listens there."""
    with socket.create_connection((host, PORT), timeout=1):
        return True


if __name__ == "__main__":
    sys.exit(main())
