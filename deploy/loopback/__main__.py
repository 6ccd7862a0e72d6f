"""`make cluster`: a profile of compose.yaml as processes, until Ctrl-C."""

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from loopback.cluster import Cluster, until
from loopback.composition import Unfit, environment_of

DEPLOY = Path(__file__).parents[1]
GATEWAY_PORT = 8443
READY_S = 180.0
_STATE, _CHECKED = 17, 36
"""Columns of the gateway's figures."""
_EXAMPLE = """
Ready. Make a payment, and ask where it is:
  curl -i --cacert {certificate} {url}/payments -H 'Content-Type: application/json' \\
    -d '{{"correlationId": "7a6e3c9e-0000-4000-8000-000000000001", "amount": 1, "accountId": "a"}}'
  curl --cacert {certificate} {url}/accounts/a/balance
Gateway's figures: http://{gateway}:8404/stats. Logs: {logs}/*/output.log. Ctrl-C ends all of it."""


def variables_for(
    profile: str, state: Path, given: Mapping[str, str], network: int
) -> dict[str, str]:
    """What the file asks for: secrets below `state`, the profile's sizes, and what is given."""
    subprocess.run(  # noqa: S603
        ["/bin/sh", str(DEPLOY.parent / "tools" / "secrets"), str(state)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "GATEWAY_NAMES": f"DNS:localhost,IP:127.{network}.0.1"},
    )
    return environment_of([state / ".env", DEPLOY / f"{profile}.env"], given)


def opened(
    profile: str,
    state: Path,
    given: Mapping[str, str],
    network: int,
    only: Sequence[str] = (),
) -> Cluster:
    """A cluster of a profile, not started yet. Its state may be there from a former time.

    `only`: services to leave it at.
    """
    state.mkdir(parents=True, exist_ok=True)
    # PostgreSQL runs as another user than root, and must be able to enter.
    state.chmod(0o711)
    variables = variables_for(profile, state, given, network)
    folders = {"./certs": state / "certs"}
    return Cluster(
        DEPLOY / "compose.yaml",
        variables,
        profile,
        state,
        network=network,
        folders=folders,
        only=only,
    )


def main() -> None:
    """The command."""
    asked = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    asked.add_argument("--profile", choices=["small", "full", "wide"], default="small")
    asked.add_argument("--state", type=Path, default=Path(".cluster"), help="folder for all data")
    given = asked.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    state = given.state.absolute()
    try:
        with opened(given.profile, state, dict(os.environ), network=77) as cluster:
            for name, instance in cluster.instances.items():
                print(f"{name:<20} {instance.address:<14} {instance.image}", flush=True)
            gateway = cluster.instances["gateway-1"].address
            print("waiting until the gateway has somebody to send to", flush=True)
            until(lambda: serves(gateway), READY_S, "the gateway")
            print(
                _EXAMPLE.format(
                    certificate=state / "certs" / "ca.crt",
                    url=f"https://{gateway}:{GATEWAY_PORT}",
                    gateway=gateway,
                    logs=state / "instances",
                ),
                flush=True,
            )
            signal.pause()
    except KeyboardInterrupt:
        pass
    except Unfit as error:
        sys.exit(f"cluster: {error}")


def serves(gateway: str) -> bool:
    """Whether both kinds of services behind the gateway are ready."""
    with socket.create_connection((gateway, 8404), timeout=2) as line:
        line.sendall(b"GET /stats;csv HTTP/1.0\r\n\r\n")
        told = b"".join(iter(lambda: line.recv(65_536), b"")).decode()
    rows = [row.split(",") for row in told.splitlines() if row.count(",") > _CHECKED]
    # A server that was never checked counts as up: only what answered a check is.
    up = {row[0] for row in rows if row[_STATE] == "UP" and row[_CHECKED] == "L7OK"}
    return {"ingest", "inquiry"} <= up


if __name__ == "__main__":
    main()
