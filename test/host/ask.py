#!/usr/bin/python3
"""ask.py tcp4|tcp6|udp4|udp6 ADDRESS PORT: prints what a server says to an empty line."""

import socket
import sys

LIMIT = 20  # seconds; only bounds a failure


def main(kind, address, port):
    family = socket.AF_INET6 if kind.endswith("6") else socket.AF_INET
    stream = kind.startswith("tcp")
    peer = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    peer.settimeout(LIMIT)
    peer.connect((address.strip("[]"), int(port)))
    peer.send(b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        more = peer.recv(4096)
        if not more:
            break
        answer += more
    sys.stdout.write(answer.decode())


main(*sys.argv[1:])
