"""Check that a wheel holds what it should, nothing else, and is small.

python tools/check_wheel.py dist/bpcore-*.whl
"""

import re
import sys
import zipfile
from pathlib import Path

LARGEST = 2_000_000  # bytes
SOURCES = re.compile(r"\.(c|cpp|h|pyx|pxd|pxi|o|a|html)$")
TESTS = re.compile(r"(^|/)(tests?|conftest|benchmarks|test_[^/]*)(/|\.py|$)")
REQUIRED = (
    r"bpcore/__init__\.py",
    r"bpcore/py\.typed",
    r"bpcore/_kernels\.pyi",
    r"bpcore/_cpuid\.pyi",
    r"bpcore/_cpuid\.[^/]*(so|pyd)",
    r"bpcore/_kernels_baseline\.[^/]*(so|pyd)",
    r"bpcore/data/digits\.npz",
    r"bpcore-[^/]*\.dist-info/licenses/LICENSE",
    r"bpcore-[^/]*\.dist-info/licenses/.*digits-attribution\.txt",
)
REQUIRED_X86_64 = (
    r"bpcore/_kernels_x86_v3\.[^/]*(so|pyd)",
    r"bpcore/_kernels_x86_v4\.[^/]*(so|pyd)",
)
REQUIRED_LINUX = (r"bpcore/_kernels_x86_amx\.[^/]*so",)


def faults(path):
    """Return what is wrong with the wheel, a sentence each."""
    names = zipfile.ZipFile(path).namelist()
    required = REQUIRED
    if re.search(r"(x86_64|amd64)\.whl$", path.name):
        required += REQUIRED_X86_64
        if "linux" in path.name:
            required += REQUIRED_LINUX
    found = [
        f"{pattern} is missing"
        for pattern in required
        if not any(re.fullmatch(pattern, name) for name in names)
    ]
    found += [f"{name} is a source or a build product" for name in names if SOURCES.search(name)]
    found += [f"{name} belongs to the tests" for name in names if TESTS.search(name)]
    found += [
        f"{name} is outside the package"
        for name in names
        if not re.match(r"bpcore(-[^/]*\.(dist-info|data)|\.libs)?/", name)
    ]
    size = path.stat().st_size
    if size >= LARGEST:
        found.append(f"{size} bytes, wanted less than {LARGEST}")
    return found


def main():
    paths = [Path(name) for name in sys.argv[1:]]
    if not paths:
        raise SystemExit("give at least one wheel")
    failed = False
    for path in paths:
        found = faults(path)
        failed = failed or bool(found)
        print(f"{'FAILED' if found else 'passed'}: {path.name}, {path.stat().st_size} bytes")
        for fault in found:
            print(f"  {fault}")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
