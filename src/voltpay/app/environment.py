"""Names of settings, in the environment and elsewhere, and a word about those that are none."""

import difflib
import os
from collections.abc import Iterable, Iterator
from typing import get_args

from pydantic import BaseModel, ValidationError

from voltpay.core.errors import Misconfigured


def variables_of(model: type[BaseModel], prefix: str) -> Iterable[str]:
    """The variable of every setting of a model, nested ones with `__` between the names."""
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        yield variable
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables_of(field.annotation, variable + "__")


def refuse_unknown_variables(model: type[BaseModel], prefix: str, *, except_for: str) -> None:
    """Raise Misconfigured for a variable with the prefix that names no setting of the model."""
    known = set(variables_of(model, prefix))
    for name in sorted(os.environ):
        if name.startswith(prefix) and not name.startswith(except_for) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            mend = f"did you mean {near[0]}?" if near else "see `voltpay config` for those it knows"
            raise Misconfigured(f"the environment variable {name} names no setting", mend)


def misconfigured(error: ValidationError, model: type[BaseModel], prefix: str) -> Misconfigured:
    """The first thing that is wrong with the settings of a model, in one line with the mend."""
    # A mistyped name is often why another one is missing.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return Misconfigured(f"there is no setting {name}", _mend(first["loc"], model, prefix))
    what = str(first["msg"]).removeprefix("Value error, ")
    if not name:
        return Misconfigured("the settings contradict each other", what)
    return Misconfigured(f"the setting {name} is wrong", what[:1].lower() + what[1:])


def _mend(loc: tuple[int | str, ...], model: type[BaseModel], prefix: str) -> str:
    known = [name[len(prefix) :].lower() for name in variables_of(model, prefix)]
    for name, each in _models_of_lists(model):
        known += [f"{name}__{loc[1]}__{field}" for field in each.model_fields if len(loc) > 1]
    near = difflib.get_close_matches("__".join(map(str, loc)), known, n=1)
    return f"did you mean {near[0].replace('__', '.')}?" if near else "remove it"


def _models_of_lists(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        for each in get_args(field.annotation):
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield name, each
