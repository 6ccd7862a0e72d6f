"""Read compose.yaml for a profile: each container as a process on a loopback address of its own.

As Compose does, variables are filled in from environment files; as on its network, every container
has an address. Names with a port, mounted paths and 0.0.0.0 become what they are here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])((?:[^{}]|\{[^{}]*\})*))?\}")
GATEWAY: Final = "gateway"
"""Its address is known before anything is read, for its certificate: 127.N.0.1."""


class Unfit(Exception):
    """The file or its environment says something that cannot be followed here."""


@dataclass(frozen=True)
class Instance:
    """One container: `name` as in ingest-1, on an address, with its words and its environment."""

    service: str
    number: int
    address: str
    image: str
    entrypoint: Sequence[str]
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Mapping[str, Path]
    restart: str

    @property
    def name(self) -> str:
        """Service and number."""
        return f"{self.service}-{self.number}"


@dataclass(frozen=True)
class Places:
    """Where things are here: volumes below `state`, addresses on 127.`network`.0.0.

    `folders`: what stands for a mounted folder, by its name in the file.
    """

    state: Path
    network: int
    folders: Mapping[str, Path]


def environment_of(files: Sequence[Path], given: Mapping[str, str]) -> dict[str, str]:
    """The variables of environment files, later ones first; what is `given` goes before all."""
    found: dict[str, str] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found[name.strip()] = filled(value.strip(), found | dict(given))
    return found | dict(given)


def filled(text: str, variables: Mapping[str, str]) -> str:
    """A text with its variables. Raises Unfit for one that must be there and is not."""

    def value(match: re.Match[str]) -> str:
        name, kind, word = match.groups()
        held = variables.get(name, "")
        if held or kind is None:
            return held
        if kind == "-":
            return str(word)
        raise Unfit(f"{name} is not set: {word}")

    return _VARIABLE.sub(value, text)


def read(
    compose: Path, variables: Mapping[str, str], profile: str, places: Places
) -> list[Instance]:
    """All instances of a profile. Raises Unfit."""
    services: dict[str, Any] = _filled_in(
        yaml.safe_load(compose.read_text(encoding="utf-8"))["services"], variables
    )
    wanted = {
        name: service
        for name, service in services.items()
        if profile in service.get("profiles", [profile])
    }
    addresses = {
        name: [
            f"127.{places.network}.{0 if name == GATEWAY else row}.{number}"
            for number in range(1, _count(service) + 1)
        ]
        for row, (name, service) in enumerate(wanted.items(), start=1)
    }
    made = [
        _instance(name, number, address, wanted[name], compose.parent, places)
        for name, of_service in addresses.items()
        for number, address in enumerate(of_service, start=1)
    ]
    return [_here(instance, addresses) for instance in made]


def _count(service: Mapping[str, Any]) -> int:
    return int(service.get("deploy", {}).get("replicas", 1))


def _filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return filled(value, variables)
    if isinstance(value, list):
        return [_filled_in(one, variables) for one in value]
    if isinstance(value, dict):
        return {name: _filled_in(one, variables) for name, one in value.items()}
    return value


def _instance(
    name: str, number: int, address: str, service: Mapping[str, Any], folder: Path, places: Places
) -> Instance:
    mounts = dict(_mounts(service, folder, places, f"{name}-{number}"))
    return Instance(
        service=name,
        number=number,
        address=address,
        image=str(service["image"]),
        entrypoint=[str(word) for word in service.get("entrypoint", [])],
        command=[str(word) for word in service.get("command", [])],
        environment={key: str(value) for key, value in service.get("environment", {}).items()},
        mounts=mounts,
        restart=str(service.get("restart", "no")),
    )


def _mounts(
    service: Mapping[str, Any], folder: Path, places: Places, instance: str
) -> Iterator[tuple[str, Path]]:
    for volume in service.get("volumes", []):
        source, target, *_ = volume.split(":")
        if source in places.folders:
            yield target, places.folders[source]
        elif source.startswith("."):
            yield target, (folder / source).resolve()
        else:
            yield target, places.state / "volumes" / source
    for target in service.get("tmpfs", []):
        yield target, places.state / "tmp" / instance / target.strip("/")


def _here(instance: Instance, addresses: Mapping[str, Sequence[str]]) -> Instance:
    """With names, paths and addresses as they are on this machine."""
    resolves_itself = instance.image.startswith("haproxy")

    def here(text: str) -> str:
        text = text.replace("0.0.0.0", instance.address)  # noqa: S104 - as containers listen
        if resolves_itself and text.startswith(":"):
            text = instance.address + text
        for target, path in sorted(instance.mounts.items(), key=lambda pair: -len(pair[0])):
            text = re.sub(rf"(^|[=\s]){re.escape(target)}(?=/|$)", rf"\g<1>{path}", text)
        if resolves_itself:
            return text
        for name, found in addresses.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?=:\d)", found[0], text)
        return text

    return replace(
        instance,
        entrypoint=[here(word) for word in instance.entrypoint],
        command=[here(word) for word in instance.command],
        environment={name: here(value) for name, value in instance.environment.items()},
    )
