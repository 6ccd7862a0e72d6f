"""A process that is told to stop: behind a gateway nobody notices that it goes."""

import http.client
import json
import uuid
from urllib.parse import urlsplit

from tests.faults.more import process_of

LEAVE_MS = 8_000
"""Far longer than the few requests take that are made meanwhile."""


def paid(line):
    """What a payment on this connection is answered."""
    body = json.dumps({"correlationId": str(uuid.uuid4()), "amount": 1})
    line.request("POST", "/payments", body, {"Content-Type": "application/json"})
    answer = line.getresponse()
    answer.read()
    return answer.status


def unready(url):
    """What does not hold, by what /readyz says."""
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=2)
    line.request("GET", "/readyz")
    answer = line.getresponse()
    missing = [name for name, holds in json.load(answer).items() if not holds]
    assert answer.status == (503 if missing else 200)
    line.close()
    return missing


def test_it_works_on_while_it_says_that_it_goes(stack):
    with process_of(stack, "ingest", VOLTPAY_LEAVE_MS=str(LEAVE_MS)) as (process, url):
        address = urlsplit(url).netloc
        kept = http.client.HTTPConnection(address, timeout=10)
        assert (paid(kept), unready(url)) == (202, [])
        process.terminate()
        assert stack.until(lambda: unready(url)) == ["staying"]
        assert paid(kept) == 202
        assert paid(http.client.HTTPConnection(address, timeout=10)) == 202
        assert process.wait(30) == 0


def test_a_second_signal_ends_it(stack):
    with process_of(stack, "ingest", VOLTPAY_LEAVE_MS="60000") as (process, url):
        process.terminate()
        assert stack.until(lambda: unready(url)) == ["staying"]
        process.terminate()
        assert process.wait(30) == 1
