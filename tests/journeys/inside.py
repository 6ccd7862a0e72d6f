"""What a journey sees and does behind the API: the processors' journals, the log, the claims."""

import asyncio
import json
import time
import urllib.request
from urllib.parse import urlencode
from uuid import UUID

import redis

from voltpay.app.engines import open_engines
from voltpay.app.topology import publisher
from voltpay.cli.installation import found
from voltpay.core.messages import PaymentAccepted, PaymentDead
from voltpay.core.payment import FINGERPRINT_FIELDS, Payment
from voltpay.foundation.engines.embedded import installed_urls
from voltpay.foundation.engines.redis.names import claim_key_of
from voltpay.foundation.seams.log import Record

PROCESSORS = ("default", "fallback")


def journal(stack, **query):
    """What the processors executed: rows of correlationId, amount, requestedAt and processor."""
    rows = []
    for name, url in zip(PROCESSORS, stack.processor_urls, strict=True):
        after = 0
        while after is not None:
            page = asked(f"{url}/admin/payments", after=after, limit=10_000, **query)
            rows += [{**row, "processor": name} for row in page["items"]]
            after = page["next"]
    return rows


def charges_of(stack, payment_id):
    """The rows of one payment."""
    return [row for row in journal(stack) if row["correlationId"] == payment_id]


def own_summary(stack, **query):
    """The processors' own totals, in the form of `/payments-summary`."""
    answers = {
        name: asked(f"{url}/admin/payments-summary", **query)
        for name, url in zip(PROCESSORS, stack.processor_urls, strict=True)
    }
    return {
        name: {key: answer[key] for key in ("totalRequests", "totalAmount")}
        for name, answer in answers.items()
    }


def asked(url, **query):
    """The JSON that a GET gives."""
    with urllib.request.urlopen(f"{url}?{urlencode(query)}", timeout=10) as answer:
        return json.loads(answer.read())


def forget_claim(stack, payment_id):
    """Delete the claim of a payment, as the end of its repeat window does."""
    with redis.Redis.from_url(installed_urls(stack.folder).log) as client:
        assert client.delete(claim_key_of(UUID(payment_id))) == 1


def append(stack, *messages):
    """Append messages to the topics that carry them, as a role does."""
    return _on_the_log(stack, lambda opened, publish: opened.engines.log.append(publish(messages)))


def append_bytes(stack, topic, key, body):
    """Append bytes that need not be any message."""
    message = PaymentAccepted(payment_of(UUID(int=0)))
    return _on_the_log(
        stack, lambda opened, _: opened.log.append([Record(topic, key, message, body)])
    )


def sealed(stack, plain, payment_id):
    """Personal data as ingest seals it."""

    async def seal(opened, _):
        return opened.engines.sealer.seal(plain, payment_id.bytes)

    return _on_the_log(stack, seal)


def _on_the_log(stack, work):
    async def run(settings):
        opened = open_engines(settings, "journey")
        try:
            return await work(opened, publisher(settings.topics))
        finally:
            await opened.close()

    with found(stack.folder, None) as settings:
        return asyncio.run(run(settings))


def payment_of(payment_id, amount_minor=500, currency="EUR", account="", details=None):
    """A payment as ingest makes it."""
    return Payment(
        id=payment_id,
        amount_minor=amount_minor,
        currency=currency,
        account_id=account,
        merchant_id="default",
        accepted_at_ms=now_ms(),
        fingerprint=bytes(8 * len(FINGERPRINT_FIELDS)),
        details=details,
    )


def buried(message_body, topic, stage, payment_id, key=""):
    """A dead letter as a loop writes it after the third failure."""
    return PaymentDead(
        topic=topic,
        key=key,
        stage=stage,
        partition=0,
        position=now_ms() << 20,
        body=message_body,
        error="Unroutable: no processor took it then",
        failures=3,
        buried_at_ms=now_ms(),
        payment_id=str(payment_id),
    )


def now_ms():
    """Now, as messages hold it."""
    return time.time_ns() // 1_000_000
