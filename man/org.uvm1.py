#!/usr/bin/env python3
"""Makes the man page org.uvm1(5) from dbus/*.xml: the contract is written down once.

usage: org.uvm1.py FILE.xml... > org.uvm1.5

The comment before an interface, method, signal or property is its text; a comment at the head of a
file comes before its interface. Lines indented deeper than the first of a comment are printed as they are.
"""
import sys
import textwrap
import xml.etree.ElementTree as ElementTree

HEAD = '''.\\" Made from dbus/*.xml by org.uvm1.py.
.Dd November 23, 2026
.Dt ORG.UVM1 5
.Os uVM
.Sh NAME
.Nm org.uvm1
.Nd the bus interface of uvmd
.Sh DESCRIPTION
.Xr uvmd 8
owns the name
.Dq org.uvm1
on the system bus.
Root and members of group
.Dq uvm
may call it.
'''
FOOT = '''.Sh SEE ALSO
.Xr busctl 1 ,
.Xr uvmctl 1 ,
.Xr uvmd 8
'''


def escape(text):
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return '\\&' + text if text[:1] in ('.', "'") else text


def paragraphs(comment):
    """Prose is filled; deeper lines (tables of keys) keep their form."""
    lines = textwrap.dedent(' ' * 64 + comment.lstrip() if '\n' not in comment.strip()
                            else align_first(comment)).strip('\n').splitlines()
    out, literal = [], False
    for line in lines:
        deep = line.startswith(' ')
        if deep != literal:
            out.append('.Bd -literal -offset indent' if deep else '.Ed')
            literal = deep
        out.append('.Pp' if not line.strip() else escape(line.strip() if not deep else line))
    if literal:
        out.append('.Ed')
    return '\n'.join(line for i, line in enumerate(out) if line != '.Pp' or i + 1 < len(out)) + '\n'


def align_first(comment):
    """The text behind "<!--" counts as indented like the line below it."""
    first, rest = comment.rstrip().split('\n', 1)
    if not first.strip():
        return rest
    below = next(line for line in rest.split('\n') if line.strip())
    return ' ' * (len(below) - len(below.lstrip())) + first.strip() + '\n' + rest


def signature(element):
    ins, outs = [], []
    for arg in element.findall('arg'):
        side = outs if arg.get('direction') == 'out' else ins
        side.append('%s %s' % (arg.get('type'), arg.get('name')))
    text = '%s(%s)' % (element.get('name'), ', '.join(ins))
    return text + (' → (%s)' % ', '.join(outs) if outs else '')


def interface(element, intro):
    print('.Ss %s' % element.get('name'))
    if intro:
        print(paragraphs(intro), end='')
    print('.Bl -tag -width indent')
    comment = None
    for child in element:
        if child.tag is ElementTree.Comment:
            comment = child.text
            continue
        if child.tag == 'property':
            print('.It property %s %s' % (child.get('type'), child.get('name')))
        else:
            print('.It %s' % escape(('signal ' if child.tag == 'signal' else '') + signature(child)))
        if comment:
            print(paragraphs(comment), end='')
        comment = None
    print('.El')


def main():
    print(HEAD, end='')
    for path in sys.argv[1:]:
        builder = ElementTree.TreeBuilder(insert_comments=True)
        parser = ElementTree.XMLParser(target=builder)
        text = open(path, encoding='utf-8').read()
        before_root = text[:text.index('<node')]
        intro = before_root[before_root.index('<!--') + 4:before_root.rindex('-->')]
        root = ElementTree.fromstring(text, parser)
        interface(root.find('interface'), intro)
    print(FOOT, end='')


main()
