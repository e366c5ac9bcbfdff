"""A process that perturbs texts: JSON lines in, JSON lines out, until its input ends.

    python -m emrobust.augment.worker

The first line is what `rules.Rules` takes; each further one is a `rules.Request`, answered by a
list of texts. Where something fails the answer is an object that names the kind of error: never a
message, which might hold a record's text. When whoever started it dies, its input ends.
"""

from __future__ import annotations

import json
import signal
import sys

from emrobust.augment.rules import Request, Rules


def main() -> None:
    """Answer until there are no more requests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides
    requests = sys.stdin.buffer
    rules = Rules(**json.loads(requests.readline()))
    # With PYTHONUNBUFFERED=1 `sys.stdout` writes once, and loses the rest of a long answer where a
    # stop of the process (SIGSTOP) cuts the writing short.
    with open(sys.stdout.fileno(), "wb", closefd=False) as answers:
        for line in requests:
            try:
                answer: object = rules(Request(*json.loads(line)))
            except Exception as error:
                answer = {"error": type(error).__name__}
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()


if __name__ == "__main__":
    main()
