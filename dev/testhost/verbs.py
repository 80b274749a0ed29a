"""dev/host: the test host, a Debian machine with systemd and a real /dev/kvm, in QEMU.

usage: dev/host start              start it (a snapshot: 0.1 s; the first time builds it)
       dev/host stop [--all]       end it, or all of them
       dev/host status             which test hosts run
       dev/host run [-n] [-t] [-C DIR] [-e NAME=VALUE]... CMD [ARG...]
                                   run CMD there as root. One word is a shell command line, more
                                   words are an exact argument list. stdin, stdout, stderr, signals
                                   and the exit code pass through. -t: with a terminal. -n: no stdin
       dev/host shell              a login shell there
       dev/host put FILE... TO     copy files or directories there, as cp -r would
       dev/host get FROM TO        copy a file or directory from there
       dev/host sync [--no-build]  build this tree (UVM_BUILD, else build/), install it there
       dev/host console            what the machine wrote on its serial console

UVM_HOST=NAME chooses one of several independent hosts (`main`); whatever needs one starts it.
UVM_HOST_ACCEL=tcg|kvm overrides the search for a KVM that nests.
"""

import os
import sys

import client
import machine
import sync as tree
import transfer


def usage():
    print(__doc__.strip(), file=sys.stderr)
    return 2


def start(_):
    machine.Instance().start()
    return 0


def stop(args):
    for instance in machine.instances() if "--all" in args else [machine.Instance()]:
        instance.stop()
    return 0


def status(_):
    rows = [(instance, instance.load()) for instance in machine.instances()]
    for instance, state in rows:
        if state:
            print("%-16s up %s pid %d port %d image %s" % (
                instance.name, state["accel"], state["pid"], state["port"],
                os.path.basename(state["image"])))
    return 0 if any(state for _, state in rows) else 3


def run(args):
    stdin, terminal, directory, env = 0, False, None, {}
    while args and args[0].startswith("-"):
        option = args.pop(0)
        if option == "-n":
            stdin = None
        elif option == "-t":
            terminal = True
        elif option == "-C" and args:
            directory = args.pop(0)
        elif option == "-e" and args and "=" in args[0]:
            name, value = args.pop(0).split("=", 1)
            env[name] = value
        elif option == "--":
            break
        else:
            return usage()
    if not args:
        return usage()
    if terminal:
        env.setdefault("TERM", os.environ.get("TERM", "xterm"))
    argv = args if len(args) > 1 else ["/bin/bash", "-c", args[0]]
    sock = machine.Instance().connect()
    return client.Run(sock, argv, env, directory, terminal).communicate(stdin)


def shell(_):
    return run(["-t", "-C", "/root", "bash", "-l"])


def put(args):
    if len(args) < 2:
        return usage()
    return transfer.put(machine.Instance(), args[:-1], args[-1])


def get(args):
    if len(args) != 2:
        return usage()
    return transfer.get(machine.Instance(), *args)


def sync(args):
    return tree.sync(machine.Instance(), build="--no-build" not in args)


def console(_):
    with open(machine.Instance().directory + "/console.log", "rb") as file:
        client.write_all(1, file.read())
    return 0


VERBS = {"start": start, "stop": stop, "status": status, "run": run, "shell": shell, "put": put,
         "get": get, "sync": sync, "console": console}


def main(args):
    if not args or args[0] not in VERBS:
        return usage()
    try:
        return VERBS[args[0]](args[1:])
    except (machine.HostGone, OSError) as error:
        print("host: %s" % error, file=sys.stderr)
        return 125
    except client.ReaderGone:
        return 128 + 13
    except KeyboardInterrupt:
        return 130


sys.exit(main(sys.argv[1:]))
