"""Build bpcore's extension modules: one of the kernels per processor level, all from one source.

`src/bpcore/_kernels.pyx` is copied under each level's name (`_kernels_x86_v3.pyx`, ...) into
`build/cython`, translated there, with what it includes from `src/bpcore/_core`, and compiled with
the level's flags. Everything else about the package stands in pyproject.toml.

Environment variables
---------------------
BPCORE_LEVELS
    Comma-separated levels to build, e.g. ``baseline,x86_v3``. Unset: every level of the target.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

SOURCE = Path("src/bpcore/_kernels.pyx")
CORE = Path("src/bpcore/_core")  # what SOURCE includes
MATH = Path("src/bpcore/_math")
GENERATED = Path("build/cython")

# GCC's and Clang's flags of each level, lowest level first. x86-64-v3 is AVX2 with FMA,
# x86-64-v4 is AVX-512; there GCC and Clang prefer 256-bit vectors unless told otherwise. AMX, the
# matrix unit, is on top of that. PREFETCHW is not in x86-64-v3, but every processor that has AVX2
# takes it, be it as one that does nothing.
AVX2 = ["-march=x86-64-v3", "-mprfchw"]
AVX512 = ["-march=x86-64-v4", "-mprefer-vector-width=512", "-mprfchw"]
X86_LEVELS = {
    "baseline": ["-march=x86-64"],
    "x86_v3": AVX2,
    "x86_v4": AVX512,
    "x86_amx": [*AVX512, "-mamx-tile", "-mamx-bf16"],
}
MSVC_LEVELS = {"baseline": [], "x86_v3": ["/arch:AVX2"], "x86_v4": ["/arch:AVX512"]}

# -ffast-math, -Ofast and -march=native are never used: the first two let NaN go unnoticed and,
# given to a link, flush subnormals to zero in the whole process; the last is not portable.
MATH_FLAGS = [
    "-O3",
    "-fno-math-errno",  # sqrt is then one instruction: nobody reads errno after it
    "-fno-trapping-math",  # `z > 0 ? z : 0` is then a vector select: nobody enables FP traps
    "-ffp-contract=fast",  # a * b + c is one fused multiply-add where the level has it
    "-falign-loops=64",  # what is decoded is kept by 64 bytes: a short loop across two is slower
    "-g0",  # debug information would make each module four times as large
]
# GCC's alone: clearing a tile's sums is then no `rep stos` of memory that nobody reads; and on
# aarch64 (x86 has that pass off) a tile's loads are not moved up, past the end of the registers.
# What is compiled once, not inline, stays one: a copy for each constant argument is no faster.
GCC_FLAGS = [
    "-fno-tree-loop-distribute-patterns",
    "-fno-schedule-insns",
    "-fno-ipa-cp-clone",
]
# The tile kernels are written with sizes that become constants only once they are inlined.
INLINE = "inline __attribute__((always_inline, unused))"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,  # every entry checks shapes before the loops start
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
    "auto_pickle": False,  # pointers cannot be pickled: TypeError, without methods that say so
    "autotestdict": False,  # an empty __test__ would be a name that the stubs must have
}


def target_levels():
    """Return the levels that can be built for the target, lowest first.

    A macOS "universal2" target is two processors in one file and gets the baseline alone.
    """
    platform = sysconfig.get_platform().lower()
    is_x86_64 = platform.endswith(("x86_64", "amd64")) and sys.maxsize > 2**32
    levels = list(X86_LEVELS) if is_x86_64 else ["baseline"]
    return levels if platform.startswith("linux") else [n for n in levels if n != "x86_amx"]


def requested_levels():
    """Return the levels to build: those in BPCORE_LEVELS, else all of the target's."""
    available = target_levels()
    text = os.environ.get("BPCORE_LEVELS", "").strip()
    if not text:
        return available
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in available]
    if unknown or not names:
        raise SystemExit(
            f"BPCORE_LEVELS={text!r}: this target can build {', '.join(available)}; "
            "give one or more of them, separated by commas"
        )
    return [level for level in available if level in names]


def kernel_extension(level):
    """Describe the extension module of one level; BuildLevels fills in compiler and flags."""
    included = [*CORE.glob("*.pxi"), *MATH.glob("*.pxd"), *MATH.glob("*.h")]
    depends = [*sorted(map(str, included)), "setup.py"]
    extension = Extension(f"bpcore._kernels_{level}", [str(SOURCE)], depends=depends)
    extension.level = level
    return extension


def cpuid_extension():
    """Describe the module that reads CPUID and XGETBV; it must run on every processor."""
    extension = Extension("bpcore._cpuid", ["src/bpcore/_cpuid.pyx"], depends=["setup.py"])
    extension.level = "baseline"
    return extension


class BuildLevels(build_ext):
    """Copy, translate and compile the kernels once per level, on all cores."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = available_cores()

    def build_extensions(self):
        import numpy

        self.use_clang_cl()
        msvc = self.compiler.compiler_type == "msvc"
        self.gcc_flags = [flag for flag in GCC_FLAGS if not msvc and self.accepts(flag)]
        for extension in self.extensions:
            extension.include_dirs += [str(MATH), numpy.get_include()]
            extension.define_macros += [
                ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                ("NDEBUG", None),  # a CFLAGS of the user's replaces Python's own, which has it
            ]
            if msvc:
                self.add_msvc_flags(extension)
            else:
                self.add_gcc_flags(extension)
        self.translate()
        super().build_extensions()

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except CompileError as error:
            raise CompileError(
                f"{ext.name} did not compile: {error}. Level {ext.level} needs GCC 11, Clang 12 or "
                "newer; with an older compiler set BPCORE_LEVELS=baseline"
            ) from error

    def use_clang_cl(self):
        """On Windows compile with clang-cl where it is found: MSVC has no vector types."""
        self.clang_cl = None
        if self.compiler.compiler_type == "msvc":
            self.clang_cl = shutil.which("clang-cl")
            if self.clang_cl:
                if not self.compiler.initialized:
                    self.compiler.initialize()
                self.compiler.cc = self.clang_cl

    def accepts(self, flag):
        """Return whether the compiler knows the flag: some of GCC's are an error to Clang."""
        with tempfile.TemporaryDirectory() as directory:
            source = Path(directory, "nothing.c")
            source.write_text("int nothing;\n")
            command = [*self.compiler.compiler_so, "-Werror", flag, "-c", str(source)]
            output = ["-o", str(source.with_suffix(".o"))]
            return subprocess.run([*command, *output], capture_output=True).returncode == 0

    def add_gcc_flags(self, extension):
        levels = X86_LEVELS if len(target_levels()) > 1 else {"baseline": []}
        extension.extra_compile_args += MATH_FLAGS + self.gcc_flags + levels[extension.level]
        extension.define_macros += [("CYTHON_INLINE", INLINE)]
        if sys.platform.startswith("linux"):
            extension.extra_link_args += ["-Wl,--strip-all"]

    def add_msvc_flags(self, extension):
        if self.clang_cl is None:
            extension.extra_compile_args += ["/O2", *MSVC_LEVELS[extension.level]]
            return
        levels = X86_LEVELS if len(target_levels()) > 1 else {"baseline": []}
        flags = [flag for flag in MATH_FLAGS if flag != "-g0"] + levels[extension.level]
        extension.extra_compile_args += [f"/clang:{flag}" for flag in flags]
        extension.extra_compile_args += ["-Wno-unused-command-line-argument"]
        extension.define_macros += [("CYTHON_INLINE", INLINE)]

    def translate(self):
        """Turn each extension's .pyx into C in `build/cython`, where it is out of date."""
        import Cython
        from Cython.Build import cythonize

        stale = []
        for extension in self.extensions:
            name = extension.name.rpartition(".")[2]
            [source] = extension.sources
            c_file = GENERATED / f"{name}.c"
            copy = copy_if_changed(Path(source), GENERATED / f"{name}.pyx")
            sources = [source, *extension.depends]
            if self.force or not is_current(c_file, sources, Cython.__version__):
                stale.append(Extension(extension.name, [str(copy)]))
            extension.depends = sources
            extension.sources = [str(c_file)]
        if stale:
            cythonize(
                stale,
                force=True,
                nthreads=min(self.parallel, len(stale)) if sys.platform != "win32" else 0,
                include_path=["src", str(SOURCE.parent), str(MATH)],
                compiler_directives=DIRECTIVES,
            )


def available_cores():
    """Return the number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def copy_if_changed(source, target):
    """Copy `source` to `target` unless it is there already, so that its time stays."""
    if not target.exists() or target.read_bytes() != source.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return target


def is_current(c_file, sources, version):
    """Return whether `c_file` came from this Cython version and is newer than `sources`."""
    if not c_file.exists():
        return False
    with c_file.open(encoding="utf-8") as lines:
        same_version = next(lines, "").split()[-2:-1] == [version]
    time = c_file.stat().st_mtime
    return same_version and all(os.stat(source).st_mtime <= time for source in sources)


if __name__ == "__main__":
    setup(
        ext_modules=[cpuid_extension(), *map(kernel_extension, requested_levels())],
        cmdclass={"build_ext": BuildLevels},
    )
