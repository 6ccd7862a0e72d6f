"""Topics that were made for a while are deleted with all that they hold."""

from collections.abc import Collection

from confluent_kafka.admin import AdminClient

from voltpay.foundation.engines.kafka.connect import config_of, explained


def without_topics(url: str, names: Collection[str], *, timeout_s: float) -> None:
    """Delete those of them that are there. Raises LogAway."""
    with explained():
        admin = AdminClient(config_of(url))
        held = admin.list_topics(timeout=timeout_s).topics.keys() & set(names)
        for done in admin.delete_topics(sorted(held)).values() if held else ():
            done.result(timeout_s)
