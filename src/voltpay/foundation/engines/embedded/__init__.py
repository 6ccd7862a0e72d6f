"""The engines that Voltpay brings along: one PostgreSQL and two Valkey servers in one folder."""

from voltpay.foundation.engines.embedded.engines import EmbeddedEngines
from voltpay.foundation.engines.embedded.folder import (
    EngineUrls,
    installed_urls,
    secret,
    was_killed,
)

__all__ = ["EmbeddedEngines", "EngineUrls", "installed_urls", "secret", "was_killed"]
