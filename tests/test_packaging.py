"""What is installed: cheap to import, typed, one version, no sources that nobody asked for."""

import importlib.metadata
import importlib.resources
import json
import subprocess
import sys

import pytest

import bpcore


def imported_by(statement):
    """Return the top-level modules in a new interpreter after `statement`, and those before."""
    code = (
        "import json, sys\n"
        "before = sorted(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps([before, sorted(sys.modules)]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    before, after = json.loads(result.stdout)
    return set(after) - set(before)


@pytest.fixture(scope="module")
def added():
    """Modules that `import bpcore` loads and `import numpy` does not."""
    return imported_by("import bpcore") - imported_by("import numpy")


# Each of these costs a program time that it may not have asked for: they are imported by the
# functions that need them.
@pytest.mark.parametrize(
    "module",
    [
        "asyncio",
        "concurrent.futures",
        "importlib.metadata",
        "importlib.resources",
        "matplotlib",
        "multiprocessing",
        "numpy.random",
        "numpy.testing",
        "onnx",
        "pandas",
        "safetensors",
        "scipy",
        "sklearn",
        "tqdm",
        "unittest",
        "zipfile",
    ],
)
def test_import_leaves_out(added, module):
    assert not {name for name in added if name == module or name.startswith(f"{module}.")}


def test_import_loads_one_level_only(added):
    levels = {name for name in added if name.startswith("bpcore._kernels_")}
    assert levels == {f"bpcore._kernels_{bpcore.cpu.level}"}


def test_version_is_the_same_everywhere():
    assert bpcore.__version__ == importlib.metadata.version("bpcore")
    assert bpcore.show_config(mode="dicts")["bpcore"]["version"] == bpcore.__version__


def test_public_names_exist():
    for name in bpcore.__all__:
        assert getattr(bpcore, name) is not None


@pytest.mark.parametrize("name", ["py.typed", "_kernels.pyi", "_cpuid.pyi"])
def test_type_information_is_installed(name):
    assert importlib.resources.files("bpcore").joinpath(name).is_file()


def test_metadata():
    metadata = importlib.metadata.metadata("bpcore")
    assert metadata["License-Expression"] == "BSD-3-Clause AND CC-BY-4.0"
    assert metadata["Requires-Python"] == ">=3.11"
    extras = {"all", "bench", "docs", "mpi", "onnx", "plot", "progress", "sklearn", "test"}
    assert set(metadata.get_all("Provides-Extra")) == extras
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(line.partition(">")[0] for line in required) == ["numpy", "safetensors"]


def test_installed_wheel_holds_no_sources_of_tests_or_kernels():
    distribution = importlib.metadata.distribution("bpcore")
    names = [file.as_posix() for file in distribution.files or ()]
    unwanted = (".c", ".pyx", ".pxd", ".pxi", ".h")
    assert not [name for name in names if name.endswith(unwanted) or "test" in name.lower()]
