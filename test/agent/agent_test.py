#!/usr/bin/env python3
"""The agent, driven as the host does, with containers made of a directory with busybox in it.

usage: agent_test.py AGENT [TEST...]           on this machine, over unix sockets
       agent_test.py KERNEL INITRD [TEST...]   in a guest of QEMU's microvm, over vsock and 9p

Needs root and busybox-static, for the guest also /dev/kvm and vhost-vsock; skips itself otherwise.
"""

import os
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases_container  # noqa: E402 pylint: disable=wrong-import-position
import cases_copy  # noqa: E402 pylint: disable=wrong-import-position
import cases_mount  # noqa: E402 pylint: disable=wrong-import-position
import cases_guest  # noqa: E402 pylint: disable=wrong-import-position
import cases_names  # noqa: E402 pylint: disable=wrong-import-position
import cases_network  # noqa: E402 pylint: disable=wrong-import-position
import cases_machine  # noqa: E402 pylint: disable=wrong-import-position
import cases_process  # noqa: E402 pylint: disable=wrong-import-position
from frame import BUSYBOX, Test  # noqa: E402 pylint: disable=wrong-import-position

# In the order they are written; the last one ends the agent.
TESTS = [value for module in (cases_container, cases_process, cases_mount, cases_copy, cases_names, cases_network,
                               cases_machine, cases_guest)
         for name, value in vars(module).items() if name.startswith("test_")]


def missing(programs):
    if os.getuid() != 0 or not os.path.exists(BUSYBOX):
        return "needs root and busybox-static"
    if len(programs) == 2 and not (os.path.exists("/dev/kvm") and os.path.exists("/dev/vhost-vsock")):
        return "needs /dev/kvm and /dev/vhost-vsock"
    return None


def main():
    programs = [argument for argument in sys.argv[1:] if not argument.startswith("test_")]
    wanted = sys.argv[1 + len(programs):]
    if missing(programs):
        print("1..0 # SKIP", missing(programs))
        return 0
    chosen = [test for test in TESTS if test.__name__ in (wanted or [test.__name__])
              and getattr(test, "in_guest", len(programs) == 2) == (len(programs) == 2)]
    with tempfile.TemporaryDirectory() as work:
        t = Test([os.path.abspath(program) for program in programs], work)
        print(f"1..{len(chosen)}", flush=True)
        try:
            for i, test in enumerate(chosen, 1):
                start = time.monotonic()
                test(t)
                print(f"ok {i} {test.__name__} # {time.monotonic() - start:.2f} s", flush=True)
        finally:
            t.agent.kill()
            t.agent.wait()
            t.log.seek(0)
            for line in t.log:
                print("#", line, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
