"""Puts the tree that is being worked on into a running test host: build, stage, send what changed."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess

import client
import transfer
from client import say

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))

# What is run there from /root, as it is in the tree.
SCENARIOS = ("test/host", "test/bench")

# What to do there when an installed path contains the word on the left, in this order.
SETTLE = (
    ("/sysusers.d/", "systemd-sysusers"),
    ("/tmpfiles.d/", "systemd-tmpfiles --create"),
    ("/systemd/", "systemctl daemon-reload"),
    ("/dbus-1/", "systemctl reload dbus.service"),
    ("/libexec/uvm/uvmd", "systemctl try-restart uvmd.service"),
)


def build_directory():
    return os.path.realpath(os.environ.get("UVM_BUILD") or os.path.join(ROOT, "build"))


def run(command, **keywords):
    """Quiet unless it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          stdin=subprocess.DEVNULL, **keywords)
    if done.returncode:
        client.write_all(2, done.stdout)
        raise SystemExit("host: failed: " + " ".join(command))


def compile_tree():
    if subprocess.run([ROOT + "/dev/build"], stdin=subprocess.DEVNULL, check=False).returncode:
        raise SystemExit("host: the tree does not build")


@contextlib.contextmanager
def staging(build):
    """One at a time: several hosts may get the same build."""
    with open(build + "/stage.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stage_tree(build):
    stage = build + "/stage"
    shutil.rmtree(stage, ignore_errors=True)
    run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", stage])
    for part in SCENARIOS:
        source = os.path.join(ROOT, part)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(stage, "root", part), symlinks=True)
    return stage


def fingerprint(path):
    status = os.lstat(path)
    if os.path.islink(path):
        return "link " + os.readlink(path)
    with open(path, "rb") as file:
        return "%o %s" % (status.st_mode, hashlib.sha256(file.read()).hexdigest())


def manifest(stage):
    found = {}
    for directory, names, files in os.walk(stage):
        for name in files + [n for n in names if os.path.islink(os.path.join(directory, n))]:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, stage)] = fingerprint(path)
    return found


def send(instance, stage, changed, gone):
    """The new files replace the old ones by name, so programs that run keep theirs."""
    command = ["tar", "-c", "-C", stage, "--owner=0", "--group=0", "--no-recursion"] + changed
    script = 'tar -x --unlink-first -C / && if [ $# -gt 0 ]; then cd / && rm -f -- "$@"; fi'
    if transfer.feed(instance, script, gone, command=command):
        raise SystemExit("host: could not install in the test host")
    paths = ["/" + path for path in changed + gone]
    lines = [action for word, action in SETTLE if any(word in path for path in paths)]
    code, output = client.capture(instance.connect(), ["/bin/sh", "-ec", "\n".join(lines)])
    if code:
        raise SystemExit("host: installed, but: " + output.strip())


def install(instance, directory):
    """How many paths of the build changed, went, and stayed as they were."""
    new = manifest(stage_tree(directory))
    record = instance.directory + "/synced.json"
    try:
        with open(record) as file:
            old = json.load(file)
    except OSError:
        old = {}
    changed = sorted(path for path in new if old.get(path) != new[path])
    gone = sorted(path for path in old if path not in new)
    if changed or gone:
        send(instance, directory + "/stage", changed, gone)
        with open(record, "w") as file:
            json.dump(new, file)
    return len(changed), len(gone), len(new) - len(changed)


def sync(instance, build=True):
    directory = build_directory()
    if build:
        compile_tree()
    instance.ensure()
    with staging(directory):
        counts = install(instance, directory)
    say("test host %s: %d installed, %d removed, %d as they were" % (instance.name, *counts))
    return 0
