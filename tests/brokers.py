"""Real Kafka brokers for tests: started, killed, paused, and started again on their data."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import urlsafe_b64encode
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_START_S = 60
CLUSTER_ID = "dm9sdHBheS10ZXN0cy0wMA"
HOW_TO_GET = (
    "Kafka's server was not found: `sh tools/kafka` fetches it with a JDK and Maven, or name the "
    "folder of its jars in KAFKA_LIBS"
)


def jars() -> Path | None:
    """The folder of the server's jars: of KAFKA_LIBS, fetched here, or of an installed server."""
    if shutil.which("java") is None:
        return None
    script = shutil.which("kafka-server-start") or shutil.which("kafka-server-start.sh")
    folders = [Path(os.environ["KAFKA_LIBS"])] if "KAFKA_LIBS" in os.environ else []
    folders.append(Path(__file__).parents[1] / ".kafka" / "lib")
    if script:
        home = Path(script).resolve().parents[1]
        folders += [home / "libs", home / "libexec" / "libs"]
    return next((one for one in folders if list(one.glob("kafka_2.13-*.jar"))), None)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Broker:
    """One node, broker and controller in one process."""

    def __init__(self, libs: Path, folder: Path, settings: dict[str, object], voters: str) -> None:
        self._libs = libs
        self._folder = folder
        self._file = folder / "node.properties"
        folder.mkdir()
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        self._file.write_text(f"{text}log.dirs={folder / 'data'}\n")
        self._java(
            "kafka.tools.StorageTool",
            "format",
            "-t",
            CLUSTER_ID,
            "-c",
            str(self._file),
            "--initial-controllers",
            voters,
        ).wait()
        self.process: subprocess.Popen[bytes] | None = None

    def _java(self, *words: str) -> "subprocess.Popen[bytes]":
        # A small heap that a short life never collects much of.
        java = ["java", "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        with (self._folder / "output.log").open("ab") as output:
            return subprocess.Popen(
                [*java, "-cp", f"{self._libs}/*", *words],
                stdout=output,
                stderr=output,
                cwd=self._folder,
            )

    def start(self) -> None:
        """Start it, if it does not run."""
        if self.process is None:
            self.process = self._java("kafka.Kafka", str(self._file))

    def kill(self) -> None:
        """As a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        """SIGSTOP, SIGCONT."""
        assert self.process is not None
        self.process.send_signal(number)


class Brokers:
    """A cluster of `count` nodes on loopback, with short sessions."""

    def __init__(self, libs: Path, count: int = 1, **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vp-kafka-"))
        ports = free_ports(2 * count)
        self.addresses = [f"127.0.0.1:{port}" for port in ports[:count]]
        controllers = [f"127.0.0.1:{port}" for port in ports[count:]]
        voters = ",".join(
            f"{number}@{address}:{_directory_id(number)}"
            for number, address in enumerate(controllers, start=1)
        )
        self.nodes = [
            Broker(
                libs,
                self.folder / f"node-{number}",
                {
                    **_settings(count),
                    "node.id": number,
                    "controller.quorum.bootstrap.servers": ",".join(controllers),
                    "listeners": f"PLAINTEXT://{mine},CONTROLLER://{control}",
                    "advertised.listeners": f"PLAINTEXT://{mine},CONTROLLER://{control}",
                    **settings,
                },
                voters,
            )
            for number, (mine, control) in enumerate(
                zip(self.addresses, controllers, strict=True), start=1
            )
        ]
        self.url = f"kafka://{','.join(self.addresses)}"

    def start(self) -> None:
        """Start those that do not run, and wait until all answer."""
        for node in self.nodes:
            node.start()
        admin = AdminClient({"bootstrap.servers": ",".join(self.addresses), "log_level": 0})
        ends_at = time.monotonic() + _START_S
        while time.monotonic() < ends_at:
            try:
                told = admin.list_topics(timeout=1)
                leaders = [p.leader for t in told.topics.values() for p in t.partitions.values()]
                if len(told.brokers) == len(self.nodes) and -1 not in leaders:
                    return
            except KafkaException:
                pass
            time.sleep(0.1)
        raise AssertionError(f"the brokers do not answer: see {self.folder}")

    def kill(self) -> None:
        """All of them at once."""
        for node in self.nodes:
            node.kill()

    def pause(self) -> None:
        """They hold their connections and answer nothing."""
        for node in self.nodes:
            node.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After a pause."""
        for node in self.nodes:
            node.signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill them and delete their folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _directory_id(number: int) -> str:
    """What Kafka calls a UUID: 16 bytes in base64, without padding."""
    return urlsafe_b64encode(f"voltpay-dir-{number:04}".encode()).decode().rstrip("=")


def _settings(count: int) -> dict[str, object]:
    copies = min(3, count)
    return {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "share.coordinator.state.topic.replication.factor": copies,
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "group.consumer.min.session.timeout.ms": 1000,
        "group.consumer.session.timeout.ms": 6000,
        "group.consumer.min.heartbeat.interval.ms": 100,
        "group.consumer.heartbeat.interval.ms": 200,
    }
