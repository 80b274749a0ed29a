"""How fast a sandbox's tap is, by the counters of the host's kernel.

usage: rate.py NAMESPACE transmit|receive SECONDS     as the guest sees it; prints bytes a second
"""

import ctypes
import os
import sys
import time

CLONE_NEWNET = 0x40000000


def counter(direction):
    """Of the one interface that is neither the guest's own (eth0) nor lo: the tap."""
    with open("/proc/thread-self/net/dev", encoding="ascii") as file:
        for line in file.readlines()[2:]:
            name, numbers = line.split(":")
            if name.strip() not in ("lo", "eth0"):
                return int(numbers.split()[0 if direction == "transmit" else 8])
    sys.exit("no tap")


def main():
    namespace, direction, seconds = sys.argv[1:]
    fd = os.open(namespace, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    before, start = counter(direction), time.monotonic()
    time.sleep(float(seconds))
    after, end = counter(direction), time.monotonic()
    print(round((after - before) / (end - start)))


main()
