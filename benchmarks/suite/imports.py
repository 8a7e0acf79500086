"""What importing costs, each time in a new interpreter."""

from suite._cases import IMPLS, PACKAGES


class Import:
    """Seconds to import; the interpreter's own start is not counted."""

    params = (IMPLS,)
    param_names = ("impl",)
    # A process can import a module once. 5 to 10 processes, because a file that has left the
    # page cache takes many times longer: the median drops it.
    number = 1
    repeat = (5, 10, 3.0)
    rounds = 2
    warmup_time = 0
    version = "1"

    def timeraw_with_numpy(self, impl):
        return f"import {PACKAGES[impl]}"

    def timeraw_after_numpy(self, impl):
        return f"import {PACKAGES[impl]}", "import numpy"
