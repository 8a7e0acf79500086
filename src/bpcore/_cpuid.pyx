"""What the processor and the operating system say they can run, as raw register words.

Reads CPUID and, where the operating system has enabled it, XGETBV. The words are judged in
`bpcore.cpu`, in Python, so that the judgement can be tested with words of other processors.

Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID and
XGETBV; volume 1, section 13.3, "Enabling the XSAVE feature set". For AMX's tiles: the Linux
kernel's Documentation/arch/x86/xstate.rst.
"""

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(_M_X64) || defined(__i386__) || defined(_M_IX86)
        #define BPCORE_X86 1
    #else
        #define BPCORE_X86 0
    #endif

    #if BPCORE_X86 && defined(_MSC_VER)
        #include <intrin.h>
        #include <immintrin.h>
    #elif BPCORE_X86
        #include <cpuid.h>
    #endif

    static void bpcore_cpuid(unsigned leaf, unsigned subleaf, unsigned *words)
    {
        words[0] = words[1] = words[2] = words[3] = 0;
    #if BPCORE_X86 && defined(_MSC_VER)
        __cpuidex((int *)words, (int)leaf, (int)subleaf);
    #elif BPCORE_X86
        __cpuid_count(leaf, subleaf, words[0], words[1], words[2], words[3]);
    #else
        (void)leaf; (void)subleaf;
    #endif
    }

    /* Only valid where CPUID leaf 1 has OSXSAVE set: elsewhere the instruction faults. */
    static unsigned bpcore_xcr0(void)
    {
    #if BPCORE_X86 && defined(_MSC_VER)
        return (unsigned)_xgetbv(0);
    #elif BPCORE_X86
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return low;
    #else
        return 0;
    #endif
    }

    /* Whether Linux lets this process use the tiles, which it must be asked for: 0 if it does. */
    #if BPCORE_X86 && defined(__linux__) && defined(__x86_64__)
        #include <unistd.h>
        #include <sys/syscall.h>
        #define REQUEST_STATE 0x1023 /* ARCH_REQ_XCOMP_PERM */
        #define TILES 18             /* XFEATURE_XTILEDATA */
        static long bpcore_request_tiles(void)
        {
            return syscall(SYS_arch_prctl, REQUEST_STATE, TILES);
        }
    #else
        static long bpcore_request_tiles(void) { return -1; }
    #endif

    #define BPCORE_STRING_(text) #text
    #define BPCORE_STRING(text) BPCORE_STRING_(text)
    #if defined(__clang__)
        #define BPCORE_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
        #define BPCORE_COMPILER "GCC " __VERSION__
    #elif defined(_MSC_FULL_VER)
        #define BPCORE_COMPILER "MSVC " BPCORE_STRING(_MSC_FULL_VER)
    #else
        #define BPCORE_COMPILER "unknown"
    #endif
    """
    const bint BPCORE_X86
    const char *BPCORE_COMPILER
    const unsigned CYTHON_HEX_VERSION
    void bpcore_cpuid(unsigned leaf, unsigned subleaf, unsigned *words) noexcept
    unsigned bpcore_xcr0() noexcept
    long bpcore_request_tiles() noexcept

cdef unsigned OSXSAVE = 1u << 27

IS_X86 = bool(BPCORE_X86)
COMPILER = BPCORE_COMPILER.decode("ascii", "replace").strip()
CYTHON = ".".join(str((CYTHON_HEX_VERSION >> shift) & 0xFF) for shift in (24, 16, 8))


def registers():
    """Return (leaf 1 ECX, leaf 7 EBX, leaf 7 EDX, leaf 0x80000001 ECX, XCR0, leaf 1 EAX) of this
    processor.

    A leaf that the processor does not have counts as 0, and so does XCR0 where the operating
    system has not enabled XSAVE; on a processor that is not x86 all are 0.

    Returns
    -------
    tuple of int
        Six unsigned 32-bit words; of XCR0 the lower half.
    """
    cdef unsigned words[4]
    cdef unsigned leaf_1_eax = 0, leaf_1_ecx = 0, leaf_7_ebx = 0, leaf_7_edx = 0
    cdef unsigned extended_1_ecx = 0, xcr0 = 0
    bpcore_cpuid(0, 0, words)
    cdef unsigned highest = words[0]
    if highest >= 1:
        bpcore_cpuid(1, 0, words)
        leaf_1_eax, leaf_1_ecx = words[0], words[2]
    if highest >= 7:
        bpcore_cpuid(7, 0, words)
        leaf_7_ebx, leaf_7_edx = words[1], words[3]
    bpcore_cpuid(0x80000000u, 0, words)
    if words[0] >= 0x80000001u:
        bpcore_cpuid(0x80000001u, 0, words)
        extended_1_ecx = words[2]
    if leaf_1_ecx & OSXSAVE:
        xcr0 = bpcore_xcr0()
    return leaf_1_ecx, leaf_7_ebx, leaf_7_edx, extended_1_ecx, xcr0, leaf_1_eax


def may_use_tiles():
    """Ask the operating system for AMX's tiles, and return whether this process has them.

    Only Linux is asked, which gives them for good, to every thread. It refuses where it is older
    than 5.16, where a sandbox forbids to ask, or where a thread's stack for signals is too small
    for what a signal then has to save.

    Returns
    -------
    bool
    """
    return bpcore_request_tiles() == 0


def brand():
    """Return the processor's name as CPUID gives it, or "" where it gives none.

    Returns
    -------
    str
    """
    cdef unsigned words[4]
    cdef unsigned leaf
    bpcore_cpuid(0x80000000u, 0, words)
    if words[0] < 0x80000004u:
        return ""
    text = bytearray()
    for leaf in range(0x80000002u, 0x80000005u):
        bpcore_cpuid(leaf, 0, words)
        text += (<unsigned char *>words)[:16]
    return " ".join(text.partition(b"\0")[0].decode("ascii", "replace").split())
