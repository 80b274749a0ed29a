"""Files into and out of the test host."""

import os
import stat
import subprocess
import tempfile

import client

PUT_FILE = 'if [ -d "$1" ]; then t=$1/$2; else t=$1; fi\n' \
           'mkdir -p -- "$(dirname -- "$t")" && cat >"$t.put$$" && chmod "$3" "$t.put$$" && ' \
           'mv -f -- "$t.put$$" "$t"'
PUT_TREE = 'if [ -d "$1" ]; then t=$1/$2; else t=$1; fi\n' \
           'mkdir -p -- "$t" && tar -x --no-same-owner -C "$t"'
GET = 'cd -- "$(dirname -- "$1")" && tar -c -- "$(basename -- "$1")"'


def feed(instance, script, args, command=None, path=None):
    """Runs a shell script there whose input is a file's content or a command's output."""
    sock = instance.connect()
    process = None
    if command:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        fd = process.stdout.fileno()
    else:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        code = client.Run(sock, ["/bin/sh", "-c", script, "sh"] + args).communicate(fd)
    finally:
        if process:
            process.stdout.close()
            code = process.wait() or code
        else:
            os.close(fd)
    return code


def put(instance, sources, target):
    for source in sources:
        name = os.path.basename(os.path.realpath(source))
        if os.path.isdir(source):
            code = feed(instance, PUT_TREE, [target, name], command=["tar", "-c", "-C", source, "."])
        else:
            mode = "%o" % stat.S_IMODE(os.stat(source).st_mode)
            code = feed(instance, PUT_FILE, [target, name, mode], path=source)
        if code:
            return code
    return 0


def get(instance, source, target):
    parent = target if os.path.isdir(target) else os.path.dirname(os.path.abspath(target))
    with tempfile.TemporaryDirectory(dir=parent, prefix=".get.") as work:
        unpack = subprocess.Popen(["tar", "-x", "--no-same-owner", "-C", work],
                                  stdin=subprocess.PIPE)
        run = client.Run(instance.connect(), ["/bin/sh", "-c", GET, "sh", source])
        code = run.communicate(on_output=unpack.stdin.write)
        unpack.stdin.close()
        code = unpack.wait() or code
        if code:
            return code
        name = os.listdir(work)[0]
        place = os.path.join(target, name) if os.path.isdir(target) else target
        os.rename(os.path.join(work, name), place)
    return 0
