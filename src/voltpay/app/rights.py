"""Which role of the database a process is, and with what password: each has its service's rights.

Migration 0008 has the rights. The owner of the schema is for migrations and commands.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import SecretStr

from voltpay.app.roles import ROLES
from voltpay.app.settings import Settings
from voltpay.foundation.engines.postgres.pool import Postgres

_PURGE: Final = "voltpay_purge"
_MAY_PURGE: Final = "voltpay_api"
_LOGINS: Final = """
select string_agg(format('alter role %I login password %L', role, password), '; ')
  from unnest($1::text[], $2::text[]) as given (role, password)
"""
_IS_MEMBER: Final = "select pg_has_role($1, $2, 'member')"


def database_role(role: str) -> str:
    """The role of the database that a role of ours logs in as."""
    return f"voltpay_{role}"


def passwords_of(secret: str) -> Mapping[str, str]:
    """A password for each role of an embedded installation, made of its secret."""
    return {
        role.name: hmac.digest(secret.encode(), role.name.encode(), hashlib.sha256).hex()
        for role in ROLES
    }


def as_service(settings: Settings, role: str) -> Settings:
    """Settings of an embedded installation for one role: it reaches the database as itself."""
    password = passwords_of(settings.secret.get_secret_value())[role]

    def own(url: SecretStr) -> SecretStr:
        return SecretStr(with_user(url.get_secret_value(), database_role(role), password))

    replicas = tuple(map(own, settings.replica_urls))
    urls = {"database_url": own(settings.database_url), "replica_urls": replicas}
    return settings.model_copy(update=urls)


def with_user(url: str, user: str, password: str) -> str:
    """The same database, as another user."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password, safe='')}@{where}"))


async def set_rights(database: Postgres, settings: Settings) -> None:
    """Give the roles their logins, and the right to empty a sandbox to whom a sandbox asks.

    Repeating it is harmless. Raises DatabaseAway where this user may not.
    """
    given = {name: one.get_secret_value() for name, one in settings.service_passwords.items()}
    if given:
        roles = [database_role(name) for name in given]
        await database.execute(
            str(await database.fetch_value(_LOGINS, roles, list(given.values())))
        )
    if bool(await database.fetch_value(_IS_MEMBER, _MAY_PURGE, _PURGE)) != settings.sandbox:
        change = "grant {} to {}" if settings.sandbox else "revoke {} from {}"
        await database.execute(change.format(_PURGE, _MAY_PURGE))
