"""The login of a service that runs apart: `voltpay migrate up` gives it, maybe a moment later."""

import time
from itertools import count
from typing import Final
from urllib.parse import urlsplit

import typer

from voltpay.app.rights import database_role
from voltpay.app.roles import ROLES
from voltpay.app.settings import Settings
from voltpay.cli.reach import LoginRefused, refuse_wrong_engines
from voltpay.foundation.runtime.retry import backoff_ms

_PATIENCE_S: Final = 60.0
"""PostgreSQL tells a wrong password and a role that is not there yet by the same words."""


def await_login(settings: Settings) -> None:
    """Refuse engines that can never be used; a service's own login may come within a minute.

    Raises Misconfigured.
    """
    user = urlsplit(settings.database_url.get_secret_value()).username
    is_given_one = user in {database_role(role.name) for role in ROLES}
    ends_at = time.monotonic() + _PATIENCE_S
    for attempt in count(1):
        try:
            refuse_wrong_engines(settings)
        except LoginRefused:
            if not is_given_one or time.monotonic() >= ends_at:
                raise
            if attempt == 1:
                typer.echo(f"{user} may not log in: waiting for `voltpay migrate up`", err=True)
            time.sleep(backoff_ms(attempt, 1.0) / 1000)
        else:
            return
