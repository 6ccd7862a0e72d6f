"""All settings: a TOML file, then the environment, then flags. Read once, frozen, passed down."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from voltpay.app.environment import misconfigured, refuse_unknown_variables
from voltpay.app.fitness import refuse_disorder, refuse_unfit_for_production
from voltpay.app.roles import ROLES
from voltpay.app.settings_file import PROFILE_DEFAULT, layers, merged
from voltpay.app.topology import TopicNames
from voltpay.core.errors import Misconfigured
from voltpay.core.money import CURRENCIES
from voltpay.foundation.engines.kafka.settings import KafkaSettings
from voltpay.processors.registry import adapters
from voltpay.processors.settings import ProcessorSettings
from voltpay.services.ingest.settings import IngestSettings
from voltpay.services.inquiry.settings import InquirySettings
from voltpay.services.ledger.settings import LedgerSettings
from voltpay.services.routing.settings import RoutingSettings

PREFIX: Final = "VOLTPAY_"
TEST_PREFIX: Final = "VOLTPAY_TEST_"
_MIB: Final = 1024 * 1024
_FLAGS: Final = "--"


class Settings(BaseSettings):
    """The settings of an installation. Embedded engines fill in the URLs that are left out."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    profile: str = Field(
        PROFILE_DEFAULT, description="What it runs for: local, docker, test or production"
    )
    log_url: str = Field(
        "", description="Log, claims: redis://…, unix://…, kafka://…; empty: embedded"
    )
    claims_url: str = Field(
        "", description="Claims beside a log on Kafka: redis://…, unix://…; else not used"
    )
    cache_url: str = Field("", description="Cache: redis://…, unix://…; empty: embedded")
    database_url: SecretStr = Field(
        SecretStr(""), description="Books, attempts, read model: postgresql://…; empty: embedded"
    )
    replica_urls: tuple[SecretStr, ...] = Field(
        (), description="Standbys where inquiries read: postgresql://…; none: the primary"
    )
    service_passwords: Mapping[str, SecretStr] = Field(
        {}, description="Of the database's roles voltpay_ROLE: `voltpay migrate up` sets them"
    )
    secret: SecretStr = Field(
        SecretStr(""), description="Seals personal data, 32 characters or more; embedded: made once"
    )
    host: str = Field("127.0.0.1", description="Where roles listen")
    port: int = Field(9999, ge=1, le=65_535, description="Where role api listens")
    currency: str = Field("EUR", description="ISO 4217 code where a payment names none")
    sandbox: bool = Field(
        False, description="Whether this installation may be emptied by POST /purge-payments"
    )
    partitions: int = Field(4, ge=1, le=1_000, description="Partitions of the ordered topics")
    log_memory_mib: int = Field(
        1_024, ge=16, le=1_048_576, description="maxmemory of the embedded log"
    )
    cache_memory_mib: int = Field(
        24, ge=8, le=1_048_576, description="maxmemory of the embedded cache"
    )
    repeat_window_s: int = Field(
        86_400, ge=1, description="How long after settling a repeat gets the first answer"
    )
    repeat_claims_max: int = Field(
        75_000,
        ge=1,
        description="Settled claims that are kept at most, a process; the window is shorter then",
    )
    leave_ms: int = Field(
        0, ge=0, le=60_000, description="`voltpay run`: told to stop, it works on so long, unready"
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    topics: TopicNames = TopicNames()
    kafka: KafkaSettings = KafkaSettings()
    ingest: IngestSettings = IngestSettings()
    routing: RoutingSettings = RoutingSettings()
    ledger: LedgerSettings = LedgerSettings()
    inquiry: InquirySettings = InquirySettings()
    processors: tuple[ProcessorSettings, ...] = ()

    @field_validator("currency")
    @classmethod
    def _is_currency(cls, code: str) -> str:
        if code not in CURRENCIES:
            raise ValueError("no ISO 4217 code")
        return code

    @field_validator("secret")
    @classmethod
    def _is_long(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < 32:
            raise ValueError("shorter than 32 characters")
        return secret

    @field_validator("service_passwords")
    @classmethod
    def _are_of_roles(cls, given: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        known = [role.name for role in ROLES]
        if strange := given.keys() - set(known):
            raise ValueError(f"no role {min(strange)}, choose of: {', '.join(known)}")
        return given

    @field_validator("processors")
    @classmethod
    def _are_distinct_and_have_adapters(
        cls, processors: tuple[ProcessorSettings, ...]
    ) -> tuple[ProcessorSettings, ...]:
        if len({processor.name for processor in processors}) < len(processors):
            raise ValueError("two processors have the same name")
        installed = sorted(adapters()) if processors else []
        for each in processors:
            if each.adapter not in installed:
                known = ", ".join(installed)
                raise ValueError(f"there is no adapter {each.adapter}, choose of: {known}")
        return processors

    @field_validator("topics")
    @classmethod
    def _have_names_of_their_own(cls, topics: TopicNames) -> TopicNames:
        names = list(topics.model_dump().values())
        if len(set(names)) < len(names):
            raise ValueError("two topics have the same name")
        return topics

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        refuse_disorder(self.routing)
        if self.profile == "production":
            kafka = self.kafka if self.is_on_kafka else None
            refuse_unfit_for_production(kafka, is_sandbox=self.sandbox)
        return self

    @property
    def log_memory_bytes(self) -> int:
        """maxmemory of the embedded log, bytes."""
        return self.log_memory_mib * _MIB

    @property
    def cache_memory_bytes(self) -> int:
        """maxmemory of the embedded cache, bytes."""
        return self.cache_memory_mib * _MIB

    @property
    def is_on_kafka(self) -> bool:
        """Whether the log is a Kafka."""
        return self.log_url.startswith("kafka://")

    @property
    def is_embedded(self) -> bool:
        """Whether Voltpay starts its own engines."""
        return not (self.log_url or self.cache_url or self.database_url.get_secret_value())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, the environment, the file, which is passed in as initial values."""
        assert isinstance(init_settings, InitSettingsSource)
        flags = init_settings.init_kwargs.pop(_FLAGS, {})
        return InitSettingsSource(settings_cls, flags), env_settings, init_settings


def read_settings(file: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """The settings of this process. Raises Misconfigured, naming what is wrong and the mend.

    `file`: the TOML file, which must exist; None: `voltpay.toml` in the working folder, if there
    is one. `flags` go before everything.
    """
    refuse_unknown_variables(Settings, PREFIX, except_for=TEST_PREFIX)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**{**merged(layers(file)), _FLAGS: given})
    except ValidationError as error:
        raise misconfigured(error, Settings, PREFIX) from error
    except SettingsError as error:
        raise Misconfigured(f"the environment has an {error}", "give it as JSON") from error
