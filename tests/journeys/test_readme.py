"""The README's own commands, run as they stand against a running Voltpay."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def blocks():
    """The shell blocks of the README."""
    return re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl not found: apt-get install curl")
def test_the_payment_of_the_readme_is_accepted_and_reaches_the_balance(stack):
    script = next(block for block in blocks() if "curl" in block)
    script = script.replace("http://127.0.0.1:9999", stack.url)
    # A person takes a moment between two lines; what is asked next is answered by then.
    script = script.replace("curl http", "sleep 3; curl -s http")
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert "HTTP/1.1 202" in done.stdout
    assert '"status":"completed"' in done.stdout
    assert '"balance":-19.90' in done.stdout
    assert '"totalRequests":1' in done.stdout


def test_every_make_target_that_it_names_is_one_that_make_lists():
    named = {name for block in blocks() for name in re.findall(r"^make ([a-z-]+)", block, re.M)}
    listed = subprocess.run(
        ["make", "-s", "help"], capture_output=True, text=True, cwd=README.parent, check=True
    )
    assert named
    assert named <= set(re.findall(r"make ([a-z-]+)", listed.stdout))
