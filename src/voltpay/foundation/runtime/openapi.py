"""The OpenAPI document of a role: what Litestar derives from its handlers, made exact."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from litestar import Litestar
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin

Operations = Mapping[str, Mapping[str, Any]]
"""OpenAPI path items of raw handlers, by path."""

_REF: Final = "#/components/schemas/"
_BOUNDS: Final = ("minimum", "maximum")


class DecimalsAreNumbers(OpenAPISchemaPlugin):
    """Amounts go out as JSON numbers, where Litestar would say text."""

    @staticmethod
    def is_plugin_supported_type(value: object) -> bool:
        """Decimal."""
        return value is Decimal

    def to_openapi_schema(self, field_definition: object, schema_creator: object) -> Schema:  # noqa: ARG002
        """A number."""
        return Schema(type=OpenAPIType.NUMBER)


def document_of(app: Litestar, operations: Operations) -> Mapping[str, Any]:
    """The document: request bodies are closed, and a parameter is left out or it has a value."""
    document = app.openapi_schema.to_schema()
    for operation in _operations_of(document):
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])
        for media in operation.get("requestBody", {}).get("content", {}).values():
            _close(media["schema"], document)
    paths: dict[str, Any] = document.setdefault("paths", {})
    for path, item in operations.items():
        paths[path] = {**paths.get(path, {}), **item}
    return document


def _operations_of(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document.get("paths", {}).values():
        yield from item.values()


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`None` is how a handler says that a parameter was left out; nobody can send it."""
    plain = dict(schema)
    for choice in plain.pop("oneOf", ()):
        if choice != {"type": "null"}:
            plain = {**choice, **plain}
    if isinstance(plain.get("type"), list):
        (plain["type"],) = (kind for kind in plain["type"] if kind != "null")
    if "enum" in plain:
        plain["enum"] = [value for value in plain["enum"] if value is not None]
    if plain.get("type") == "integer":
        plain |= {bound: int(plain[bound]) for bound in _BOUNDS if bound in plain}
    return plain


def _close(schema: dict[str, Any], document: Mapping[str, Any]) -> None:
    name = schema.get("$ref", "").removeprefix(_REF)
    target = document["components"]["schemas"][name] if name else schema
    target["additionalProperties"] = False
