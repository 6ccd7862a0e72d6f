"""All instances of a profile as processes: started, watched and restarted as Compose would."""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from loopback.composition import Instance, Places, Unfit, read
from loopback.names import served
from loopback.programs import Program, program_of

_PORT_OF_NAMES: Final = 5353
_RESTART_S: Final = 0.5
_STABLE_S: Final = 20.0
_PAUSE_MAX_S: Final = 8.0
_STOP_S: Final = 40.0


class Cluster:
    """Runs below `state`; `say` tells what happens. Use it with `with`.

    `folders`: what stands for a folder that the file mounts, by the name that it has there; `only`:
    services to leave it at.
    """

    def __init__(
        self,
        compose: Path,
        variables: Mapping[str, str],
        profile: str,
        state: Path,
        *,
        network: int = 77,
        folders: Mapping[str, Path] | None = None,
        only: Sequence[str] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        self.state = state
        self._resolver = f"127.{network}.255.1"
        instances = read(compose, variables, profile, Places(state, network, dict(folders or {})))
        self.instances = {
            instance.name: instance
            for instance in instances
            if not only or instance.service in only
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._programs: dict[str, Program] = {}
        self._wanted: set[str] = set()
        self._say = say
        self._began: dict[str, tuple[float, float]] = {}
        self._pauses: dict[str, float] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._watch = threading.Thread(target=self._watched, daemon=True)

    def __enter__(self) -> "Cluster":
        self._names = served(self._resolver, _PORT_OF_NAMES, self.addresses_of)
        try:
            for name in self.instances:
                self.start(name)
        except BaseException:
            self.__exit__()
            raise
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._watch.is_alive():
            self._watch.join()
        # What uses something goes before it; brokers that go one by one wait for those gone before.
        images = dict.fromkeys(each.image for each in reversed(self.instances.values()))
        for image in images:
            self._stop_all([name for name, each in self.instances.items() if each.image == image])
        self._names.stop()

    def addresses_of(self, service: str) -> list[str]:
        """The addresses at which a service runs now."""
        return [
            instance.address
            for name, instance in self.instances.items()
            if instance.service == service and self.is_running(name)
        ]

    def is_running(self, name: str) -> bool:
        """Whether an instance has a process."""
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def start(self, name: str) -> None:
        """Start an instance; from now on it is started again when it ends."""
        instance = self.instances[name]
        folder = self.state / "instances" / name
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if name not in self._programs:
                program = program_of(instance, folder)
                if program is None:
                    self._say(f"{name}: {instance.image} is not run here")
                    return
                self._programs[name] = self._told_of_names(instance, program)
            self._wanted.add(name)
            self._spawn(name)

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End an instance and leave it down."""
        self._stop_all([name], number)

    def _stop_all(self, names: Sequence[str], number: int = signal.SIGTERM) -> None:
        with self._lock:
            self._wanted -= set(names)
            running = {name: self.processes[name] for name in names if name in self.processes}
        for process in running.values():
            if process.poll() is None:
                process.send_signal(number)
        end = time.monotonic() + _STOP_S
        for name, process in running.items():
            try:
                process.wait(max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._say(f"{name} does not end: it is killed")
                process.kill()
                process.wait()

    def replace(self, name: str, environment: Mapping[str, str]) -> None:
        """Drain an instance and start it with more in its environment: as another image's code."""
        self.stop(name)
        with self._lock:
            before = self._programs[name]
            told = {**before.environment, **environment}
            self._programs[name] = Program(before.command, told, before.launcher)
        self.start(name)

    def kill(self, name: str) -> None:
        """As a crash does: by SIGKILL; it is started again."""
        self.processes[name].kill()

    def signal(self, name: str, number: int) -> None:
        """SIGSTOP, SIGCONT."""
        self.processes[name].send_signal(number)

    def output(self, name: str) -> Path:
        """What an instance wrote."""
        return self.state / "instances" / name / "output.log"

    def _told_of_names(self, instance: Instance, program: Program) -> Program:
        if "DNS" not in instance.environment:
            return program
        told = {**program.environment, "DNS": f"{self._resolver}:{_PORT_OF_NAMES}"}
        return Program(program.command, told, program.launcher)

    def _spawn(self, name: str) -> None:
        program = self._programs[name]
        launcher = program.launcher
        self._began[name] = time.monotonic(), self._pauses.get(name, _RESTART_S)
        with self.output(name).open("ab") as output:
            self.processes[name] = subprocess.Popen(  # noqa: S603
                [*launcher.prefix, *program.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(program.environment),
                cwd=self.state / "instances" / name,
                user=launcher.user,
                group=launcher.group,
                extra_groups=launcher.extra_groups,
                start_new_session=True,
            )

    def _watched(self) -> None:
        while not self._ending.wait(_RESTART_S):
            with self._lock:
                for name in sorted(self._wanted):
                    code = self.processes[name].poll()
                    if code is not None:
                        self._ended(name, code)

    def _ended(self, name: str, code: int) -> None:
        """Start it again as its policy says: at once, or later if it ended soon before."""
        policy = self.instances[name].restart
        if policy == "no" or (policy == "on-failure" and code == 0):
            self._wanted.discard(name)
            return
        began_s, pause_s = self._began[name]
        now_s = time.monotonic()
        if now_s - began_s < pause_s:
            return
        self._say(f"{name} ended with {code}: started again")
        lived = now_s - began_s > _STABLE_S
        self._pauses[name] = _RESTART_S if lived else min(2 * pause_s, _PAUSE_MAX_S)
        self._spawn(name)


def until(question: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Ask again and again until it is so. Raises Unfit."""
    end = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError):
            if question():
                return
        if time.monotonic() > end:
            raise Unfit(f"in vain for {timeout_s:.0f} s: {what}")
        time.sleep(0.2)
