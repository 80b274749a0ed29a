"""Cuts the power at moments of a log that dm-log-writes made, and looks at what is on the disk then.

replay.py KIND START LOG RECORDS POINTS: to START, the disk before, what the log has up to a moment is
written: all that was flushed until then, and some of what wasn't. Every record that was acknowledged
before that moment must be there, and both file systems clean once their journals were replayed.
"""

import os
import random
import shutil
import struct
import subprocess
import sys

# Linux: drivers/md/dm-log-writes.c
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
MAGIC = 0x6A736677736872

ACKNOWLEDGED = "synced-"


class Log:
    """The entries, as (sector, number of sectors, flags, where the data is, a mark's text)."""

    def __init__(self, path):
        self.file = open(path, "rb")
        magic, version, count, self.sector_size = struct.unpack("<QQQI", self.file.read(28))
        if magic != MAGIC or version != 1:
            sys.exit("this is no log of dm-log-writes")
        self.entries = []
        at = self.sector_size
        for _ in range(count):
            at = self.read_entry(at)

    def read_entry(self, at):
        self.file.seek(at)
        sector, sectors, flags, length = struct.unpack("<QQQQ", self.file.read(32))
        text = self.file.read(length).decode() if flags & MARK else ""  # the kernel ends with its own
        at += self.sector_size
        self.entries.append((sector, sectors, flags, at, text))
        return at if flags & (DISCARD | MARK) else at + sectors * self.sector_size

    def write(self, index, disk):
        sector, sectors, flags, at, _ = self.entries[index]
        if flags & MARK or sectors == 0:
            return
        size = sectors * self.sector_size
        if flags & DISCARD:
            data = bytes(size)
        else:
            self.file.seek(at)
            data = self.file.read(size)
        disk.seek(sector * self.sector_size)
        disk.write(data)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def check_run(*command):
    code, text = run(*command)
    return [] if code == 0 else [f"{' '.join(command)}: exit {code}: {text.strip()}"]


def expected(number):
    return b"%04095d\n" % number


def check_records(directory, acknowledged):
    wrong = []
    try:
        with open(f"{directory}/journal", "rb") as file:
            journal = file.read()
    except FileNotFoundError:
        journal = b""
    for number in range(1, acknowledged + 1):
        if journal[4096 * (number - 1) : 4096 * number] != expected(number):
            wrong.append(f"record {number} is not in the journal")
        if number % 5 == 0:
            path = f"{directory}/file-{number}"
            if not os.path.exists(path) or open(path, "rb").read() != expected(number):
                wrong.append(f"record {number} is not in its file")
    return wrong


def check_disk(image, directory, acknowledged, inside):
    """Mounts (which replays the journal), looks inside, unmounts, checks the file system."""
    os.makedirs(directory, exist_ok=True)
    wrong = check_run("mount", "-o", "loop", image, directory)
    if wrong:
        return wrong
    try:
        wrong = inside(directory, acknowledged)
    finally:
        wrong += check_run("umount", directory)
    return wrong + check_run("e2fsck", "-fn", image)


def check_inner(directory, acknowledged):
    if not os.path.exists(f"{directory}/disk"):
        return ["the disk's file is not there"]
    return check_disk(f"{directory}/disk", "inner-mount", acknowledged, check_records)


def choose(log, points):
    """Moments: behind the last record, right behind some acknowledgement, and any others."""
    marks = [i + 1 for i, entry in enumerate(log.entries) if entry[4].startswith(ACKNOWLEDGED)]
    chosen = {len(log.entries), marks[-1]}
    chosen.update(random.sample(marks, min(len(marks), points // 2)))
    first = marks[0]
    while len(chosen) < min(points, len(log.entries) - first):
        chosen.add(random.randrange(first, len(log.entries)))
    return sorted(chosen)


def main():
    kind, start, log_path, records, points = sys.argv[1:]
    seed = int(os.environ.get("UVM_SEED") or random.randrange(1 << 32))
    random.seed(seed)
    log = Log(log_path)
    acknowledged_at, last = [], 0
    for entry in log.entries:
        if entry[4].startswith(ACKNOWLEDGED):
            last = int(entry[4].removeprefix(ACKNOWLEDGED))
        acknowledged_at.append(last)
    if last != int(records):
        sys.exit(f"{last} of {records} records were acknowledged")
    flushes = sum(1 for entry in log.entries if entry[2] & FLUSH)
    moments = choose(log, int(points))
    print(f"{kind}: {len(log.entries)} writes and marks, {flushes} flushes, seed {seed}")
    failures, written = 0, 0
    with open(start, "r+b") as disk:
        for moment in moments:
            for index in range(written, moment):
                log.write(index, disk)
            written = moment
            disk.flush()
            shutil.copyfile(start, "cut.img")
            acknowledged = acknowledged_at[moment - 1]
            inside = check_inner if kind == "file" else check_records
            wrong = check_disk("cut.img", "mount", acknowledged, inside)
            for line in wrong[:3]:
                print(f"power cut behind write {moment}, {acknowledged} acknowledged: {line}")
            failures += 1 if wrong else 0
    print(f"{kind}: {len(moments)} power cuts, {failures} lost something")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
