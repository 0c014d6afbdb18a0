"""A stack as `tem.stack` builds it, over real embedded services, with members that only wait.

`python -m tests.kill.light_stack HOME` prints one line of JSON when everything is up, and serves.
"""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from tem import embedded
from tem.supervisor import MemberEnded, Stopped, Supervisor

# It has a child that leaves its session, as a daemon would, and ignores the polite signal.
STUBBORN = """
import os, signal, subprocess, sys, time
wait = "import time; print('up', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-S", "-c", wait], start_new_session=True).stdout
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""


def main(home: Path) -> int:
    runner = Supervisor(logs=home / "logs", variables=os.environ, grace_s=0.5)
    try:
        with ExitStack() as at_last, runner:
            at_last.enter_context(embedded.running(home, durable=False))
            found = embedded.status(home)
            assert found
            runner.guarded["the keeper"] = (found.keeper, home / "logs" / "embedded.log")
            member = runner.start("stubborn", [sys.executable, "-S", "-c", STUBBORN])
            runner.wait_for(lambda: "up" in member.log.read_text(), limit_s=10, what="the start")
            pids = {each.name: each.process.pid for each in runner.members} | found.pids
            print(json.dumps({"id": runner.stack_id, "keeper": found.keeper.pid, **pids}), flush=True)
            runner.serve()
    except Stopped:
        return 0
    except MemberEnded as ended:
        print(ended, file=sys.stderr)
        return 1
    return 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
