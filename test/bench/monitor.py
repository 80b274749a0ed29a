"""What benches in the test host share: a monitor's console, and counters of what it does."""
import os
import re
import select
import signal
import subprocess
import time

TIME_LIMIT = 900
TRACING = '/sys/kernel/tracing'
HIST = TRACING + '/events/raw_syscalls/sys_enter/'


def tasks(pid):
    """The process, its threads, and those of its children."""
    found = set(int(task) for task in os.listdir('/proc/%d/task' % pid))
    for task in list(found):
        with open('/proc/%d/task/%d/children' % (pid, task), encoding='ascii') as file:
            for child in file.read().split():
                found |= tasks(int(child))
    return found


def write(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


def system_calls(pid):
    """Of all threads that are alive, since the trigger was set."""
    alive, total = tasks(pid), 0
    with open(HIST + 'hist', encoding='ascii') as file:
        for found in re.finditer(r'common_pid: +(\d+) .*hitcount: +(\d+)', file.read()):
            total += int(found[2]) if int(found[1]) in alive else 0
    return total


def count_system_calls(on):
    write(HIST + 'trigger', ('' if on else '!') + 'hist:keys=common_pid:size=8192')


class Console:
    """What a monitor says on its standard output and error, as it comes."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self.text = {self.process.stdout.fileno(): b'', self.process.stderr.fileno(): b''}
        self.poll = select.poll()
        for fd in self.text:
            self.poll.register(fd, select.POLLIN)
        self.end = time.monotonic() + TIME_LIMIT

    @property
    def output(self):
        return self.text[self.process.stdout.fileno()]

    @property
    def errors(self):
        return self.text[self.process.stderr.fileno()]

    def wait_for(self, pattern, errors=False):
        while not re.search(pattern, self.errors if errors else self.output):
            ready = self.poll.poll(max(0, 1000 * (self.end - time.monotonic())))
            data = [(fd, os.read(fd, 65536)) for fd, _ in ready]
            for fd, piece in data:
                self.text[fd] += piece
            if not ready or not any(piece for _, piece in data) or b'bench failed' in self.output:
                raise SystemExit('%s: no %s; console:\n%s%s' % (
                    self.process.args[0], pattern, self.output[-2000:].decode(errors='replace'),
                    self.errors[-2000:].decode(errors='replace')))

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def kvm_exits():
    """Of every VM that is alive; there is one."""
    with open('/sys/kernel/debug/kvm/exits', encoding='ascii') as file:
        return int(file.read())
