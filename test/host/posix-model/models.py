#!/usr/bin/python3
"""Random operations on files in guests of ours, compared with a model of them (test/posix/model.c).

usage: models.py [--seconds N] [--seed N] [--operations N] [--model file|tree] [--mode loose|mmap|none] DIRECTORY

DIRECTORY holds what guests.py needs. Both models run side by side, in one cache mode
after the other, each for an equal part of the time.
Exit status 1 after a difference; its seed and operation, given again, show it again.
"""
import argparse
import os
import sys
import time

from guests import Guest, remove_tree

MODES = ('loose', 'mmap', 'none')
OPTIONS = 'access=client,posixacl,locktimeout=1,cache='


def script(arguments):
    options = '--drop-caches --seconds %d' % arguments.seconds
    if arguments.seed:
        options += ' --seed %d' % arguments.seed
    if arguments.operations:
        options += ' --operations %d' % arguments.operations
    return ''.join('fsmodel %s %s /mnt/%s >/tmp/%s 2>&1 &\n' % (model, options, model, model)
                   for model in arguments.model) + 'wait\ncat /tmp/file /tmp/tree >/mnt/report\n'


def start(here, mode, arguments):
    path = '%s/model-%s' % (here, mode)
    for model in arguments.model:
        os.makedirs('%s/%s' % (path, model))
    return Guest(here, 'ours', path, OPTIONS + mode, script(arguments), 90 + 2 * arguments.seconds)


def judge(here, mode, guest, arguments):
    """Whether there was no difference."""
    path = '%s/model-%s' % (here, mode)
    started = time.monotonic()
    while not guest.ended_within(60):
        print('%s: %d of %d s' % (mode, time.monotonic() - started, arguments.seconds), flush=True)
    report = ''
    if os.path.exists(path + '/report'):
        with open(path + '/report', encoding='utf-8', errors='replace') as file:
            report = file.read()
    print('%s:\n%s' % (mode, report), flush=True)
    passed = report.count('ok - ') == len(arguments.model) and 'not ok' not in report
    if not passed:
        print('console:\n%s' % guest.log()[-3000:])
    remove_tree(path)
    return passed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--seed', type=int)
    parser.add_argument('--operations', type=int)
    parser.add_argument('--model', action='append', choices=('file', 'tree'))
    parser.add_argument('--mode', action='append', choices=MODES)
    parser.add_argument('directory')
    arguments = parser.parse_args()
    arguments.model = arguments.model or ['file', 'tree']
    here = os.path.abspath(arguments.directory)
    modes = arguments.mode or MODES[:2]
    arguments.seconds = -(-arguments.seconds // len(modes))
    # One guest at a time: with two that both work hard the emulated CPU makes the test host panic.
    results = [judge(here, mode, start(here, mode, arguments), arguments) for mode in modes]
    return 0 if all(results) else 1


sys.exit(main())
