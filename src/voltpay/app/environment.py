"""The environment: which variables name a setting, and a word about those that do not."""

import difflib
import os
from collections.abc import Iterable

from pydantic import BaseModel

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
