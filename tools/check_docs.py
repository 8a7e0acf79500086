"""Run the Python examples of Markdown files, as a reader would who types them in.

Every fenced block marked ``python`` is run, the blocks of one file from top to bottom in one
namespace, each file in an interpreter and an empty directory of its own; warnings are errors.

    python tools/check_docs.py README.md docs/*.md
    python tools/check_docs.py --command "Run the tests" README.md

The second form runs nothing: it prints the one ``sh`` block of the section with that heading, so
that what CI runs is what the README tells.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
HEADING = re.compile(r"^#+\s+(?P<title>.*?)\s*#*$")


class Block(NamedTuple):
    """A fenced block: its language, the heading above it, its first line's number and text."""

    language: str
    heading: str
    line: int
    text: str


def fenced_blocks(markdown):
    """Return the fenced blocks of a Markdown text, in order."""
    blocks, heading, opened = [], "", None
    for number, line in enumerate(markdown.splitlines(), start=1):
        match = FENCE.match(line)
        if opened is None:
            if match:
                opened, lines = match, []
                first = number + 1
            elif title := HEADING.match(line):
                heading = title["title"]
        elif match and line.startswith(opened["fence"]) and not match["info"]:
            blocks.append(Block(opened["info"].strip(), heading, first, "\n".join(lines) + "\n"))
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        raise SystemExit(f"line {first - 1}: the block is never closed")
    return blocks


def print_command(path, heading):
    """Print the one `sh` block under `heading`."""
    found = [
        block.text
        for block in fenced_blocks(path.read_text(encoding="utf-8"))
        if block.language == "sh" and block.heading == heading
    ]
    if len(found) != 1:
        raise SystemExit(f"{path}: section {heading!r} has {len(found)} sh blocks, wanted 1")
    print(found[0], end="")


def run_blocks(path):
    """Run the Python blocks of one file in this interpreter."""
    namespace = {"__name__": "__main__"}
    for block in fenced_blocks(path.read_text(encoding="utf-8")):
        if block.language == "python":
            padding = "\n" * (block.line - 1)  # so that a traceback names the file's own line
            exec(compile(padding + block.text, str(path), "exec"), namespace)


def run_file(path):
    """Run the Python blocks of one file in an interpreter of its own; return whether it passed."""
    count = sum(
        block.language == "python" for block in fenced_blocks(path.read_text(encoding="utf-8"))
    )
    command = [sys.executable, "-W", "error", str(Path(__file__).resolve()), "--here"]
    environment = os.environ | {"MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as directory:
        result = subprocess.run(
            [*command, str(path.resolve())], cwd=directory, env=environment, check=False
        )
    print(f"{'passed' if result.returncode == 0 else 'FAILED'}: {path}, {count} examples")
    return result.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--command", metavar="HEADING", help="print the sh block of that section")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.command:
        print_command(arguments.files[0], arguments.command)
    elif arguments.here:
        run_blocks(arguments.files[0])
    else:
        passed = [run_file(path) for path in arguments.files]
        raise SystemExit(not all(passed))


if __name__ == "__main__":
    main()
