"""A supervisor to be killed: starts the engines of a folder, forks a role, says so, and waits."""

import json
import os
import sys
import time
from pathlib import Path

from voltpay.foundation.engines.embedded import EmbeddedEngines


def main() -> None:
    """Print pids and addresses as one line of JSON; leave when the input ends."""
    engines = EmbeddedEngines(Path(sys.argv[1]))
    urls = engines.start()
    role = os.fork()
    if role == 0:
        time.sleep(60)
        os._exit(0)
    told = {"role": role, "pids": dict(engines.pids()), "database": urls.database, "log": urls.log}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    engines.stop()


if __name__ == "__main__":
    main()
