"""Prints what `meson test` logged as TAP-like lines, each check by name.

usage: meson_report.py TESTLOG SUITE

Programs that speak TAP are reported check by check, the others as one. The last line is
`# PASSED FAILED SKIPPED`, for dev/test to add up.
"""

import json
import re
import sys

GOOD = ("OK", "EXPECTEDFAIL")


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def indented(text):
    return "".join("    %s\n" % line for line in text.splitlines()[-60:])


class Report:
    def __init__(self, suite):
        self.suite = suite
        self.passed = self.failed = self.skipped = 0

    def line(self, good, name, skip=None):
        if skip is not None:
            self.skipped += 1
        elif good:
            self.passed += 1
        else:
            self.failed += 1
        print("%s %s/%s%s" % ("ok" if good else "not ok", self.suite, name,
                              " # SKIP " + skip if skip is not None else ""))

    def program(self, test):
        name = test["name"].split(" / ")[-1]
        output = test.get("stdout", "")
        result = test["result"]
        failed_before = self.failed
        if re.search(r"(?m)^1\.\.\d+$", output):
            # Behind "#" stands a directive, or what is for people: how long it took.
            for match in re.finditer(r"(?m)^(not )?ok \d+ ?-? ?([^#\n]*)(?:# ?(?:SKIP ?(.*)|.*))?$",
                                     output):
                self.line(not match.group(1), name + "/" + match.group(2).strip(), match.group(3))
            if result not in GOOD and self.failed == failed_before:
                self.line(False, name)
        elif result == "SKIP":
            self.line(True, name, last_line(output) or "no reason given")
        else:
            self.line(result in GOOD, name)
        if self.failed > failed_before:
            if result not in ("FAIL",) + GOOD:
                print("    %s after %.1f s" % (result, test["duration"]))
            print(indented(output + test.get("stderr", "")), end="")


def main():
    log, suite = sys.argv[1:]
    report = Report(suite)
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            report.program(json.loads(line))
    print("# %d %d %d" % (report.passed, report.failed, report.skipped))


main()
