#!/usr/bin/env python3
"""Fails on any difference between dbus/org.uvm1.*.xml and what uvmd tells the bus of itself.

usage: introspection.py INTROSPECT DBUS_DIRECTORY
"""
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

DIRECTIONS = {"method": "in", "signal": None}


def arguments(member):
    default = DIRECTIONS[member.tag]
    return [
        (a.get("name"), a.get("type"), a.get("direction", default) if default else None)
        for a in member.findall("arg")
    ]


def describe(interface):
    """Every member as (kind, name) → what must be equal. Annotations are the implementation's."""
    members = {}
    for member in interface:
        key = (member.tag, member.get("name"))
        if member.tag in DIRECTIONS:
            members[key] = arguments(member)
        elif member.tag == "property":
            members[key] = (member.get("type"), member.get("access"))
    return members


def ours(root):
    return {
        i.get("name"): describe(i)
        for i in root.findall("interface")
        if i.get("name").startswith("org.uvm1.")
    }


def main():
    program, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    output = subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout
    live, written, differences = {}, {}, []
    for text in output.decode().split("\0")[:-1]:
        live.update(ours(xml.fromstring(text)))
    for file in sorted(directory.glob("org.uvm1.*.xml")):
        written.update(ours(xml.parse(file).getroot()))
    for name in sorted(set(live) | set(written)):
        a, b = written.get(name, {}), live.get(name, {})
        for key in sorted(set(a) | set(b)):
            if a.get(key) != b.get(key):
                differences.append(f"{name} {key[0]} {key[1]}: {a.get(key)} in dbus/, "
                                   f"{b.get(key)} on the bus")
    print("\n".join(differences) or f"{len(written)} interfaces are what dbus/ says")
    sys.exit(bool(differences) or len(written) != 4)


main()
