"""One more process of a role, beside those of `voltpay up`."""

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

from tests.stack import free_ports

from voltpay.cli.installation import found
from voltpay.foundation.runtime.failpoints import VARIABLE


@contextmanager
def one_more(stack, role):
    """`voltpay run ROLE` on the engines of a running Voltpay; gives its address."""
    with process_of(stack, role) as (_, url):
        yield url


@contextmanager
def process_of(stack, role, **variables):
    """The same with more variables; gives the process, which may be stopped, and its address."""
    (port,) = free_ports(1)
    with found(stack.folder, None) as settings:
        engines = {
            "VOLTPAY_LOG_URL": settings.log_url,
            "VOLTPAY_CACHE_URL": settings.cache_url,
            "VOLTPAY_DATABASE_URL": settings.database_url.get_secret_value(),
            "VOLTPAY_SECRET": settings.secret.get_secret_value(),
            "VOLTPAY_PROCESSORS": json.dumps(
                [json.loads(each.model_dump_json()) for each in settings.processors]
            ),
            VARIABLE: "",
            **variables,
        }
    command = [sys.executable, "-m", "voltpay", "run", role, "--port", str(port)]
    output = stack.folder / f"{role}-{port}.out"
    with output.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=stack.environment() | engines, cwd=stack.folder
        )
    url = f"http://127.0.0.1:{port}"
    try:
        stack.until(lambda: is_ready(url), timeout_s=30)
        yield process, url
    finally:
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0, output.read_text()


def is_ready(url):
    """Whether a role answers that it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False
