"""Build of the compiled core: every ``.pyx`` file under ``graphflow`` becomes one C++ extension.

Switches, read from the environment and nowhere else (unset, empty or 0 is off):

GRAPHFLOW_DEBUG=1          assertions and balance counters, -O1 -g
GRAPHFLOW_TRACE=1          line tracing for coverage (slow; takes the GIL in nogil code)
GRAPHFLOW_SANITIZE=thread  ThreadSanitizer; =address for AddressSanitizer
GRAPHFLOW_CHAOS=1          threads give way or sleep at places that GRAPHFLOW_CHAOS_SEED draws
GRAPHFLOW_PLANTS=1         bugs that GRAPHFLOW_PLANT=<name> switches on, to see them found; never to be shipped
GRAPHFLOW_ANNOTATE=1       writes Cython's annotated HTML beside each .pyx
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CYTHON_WANTED = (3, 3)
# setuptools and Cython want source paths relative to the project's root.
os.chdir(Path(__file__).resolve().parent)
# Names the variant that the files in place are of.
STAMP = Path("build/variant")

DIRECTIVES = {"language_level": 3, "freethreading_compatible": True}
# Warnings that Cython's own boilerplate trips; ours stay visible.
QUIET = ("unused-parameter", "unused-function", "missing-field-initializers", "cast-function-type")


def switch(name: str, allowed: tuple[str, ...] = ("1",)) -> str:
    """Return the value of environment variable `name`, "" when it is off."""
    value = os.environ.get(name, "")
    if value in ("", "0"):
        return ""
    if value not in allowed:
        sys.exit(f"{name}={value!r} is not understood: leave it unset or use {' or '.join(allowed)}")
    return value


@dataclass(frozen=True)
class Variant:
    """What kind of build was asked for."""

    debug: bool
    trace: bool
    sanitize: str
    annotate: bool
    chaos: bool
    plants: bool

    @classmethod
    def from_environment(cls) -> Variant:
        """Read the switches; exits with a message when they make no sense."""
        variant = cls(
            debug=bool(switch("GRAPHFLOW_DEBUG")),
            trace=bool(switch("GRAPHFLOW_TRACE")),
            sanitize=switch("GRAPHFLOW_SANITIZE", ("thread", "address")),
            annotate=bool(switch("GRAPHFLOW_ANNOTATE")),
            chaos=bool(switch("GRAPHFLOW_CHAOS")),
            plants=bool(switch("GRAPHFLOW_PLANTS")),
        )
        if variant.trace and variant.sanitize:
            sys.exit(
                "GRAPHFLOW_TRACE and GRAPHFLOW_SANITIZE exclude each other: a traced build takes "
                "the GIL on every line, which hides the races a sanitizer looks for"
            )
        return variant

    @property
    def directives(self) -> dict[str, Any]:
        """Cython directives."""
        return DIRECTIVES | ({"linetrace": True, "profile": True} if self.trace else {})

    @property
    def macros(self) -> list[tuple[str, str | None]]:
        """C macros; those of the switches are always defined, as 0 or 1."""
        switches = {"DEBUG": self.debug, "CHAOS": self.chaos, "PLANTS": self.plants}
        macros: list[tuple[str, str | None]] = [(f"GRAPHFLOW_{name}", str(int(on))) for name, on in switches.items()]
        if not self.debug:
            macros.append(("CYTHON_WITHOUT_ASSERTIONS", "1"))
        if self.trace:
            # Without the last one the .pyx files vanish from coverage's report on 3.13.
            macros += [
                ("CYTHON_TRACE", "1"),
                ("CYTHON_TRACE_NOGIL", "1"),
                ("CYTHON_USE_SYS_MONITORING", "0"),
            ]
        return macros

    @property
    def compile_args(self) -> list[str]:
        """Flags of the C++ compiler."""
        args = ["-std=c++20", "-fvisibility=hidden", "-Wall", "-Wextra"]
        args += [f"-Wno-{name}" for name in QUIET]
        if self.debug or self.trace or self.sanitize:
            args += ["-O1", "-g"]
        elif self.chaos:
            args += ["-O3", "-finline-limit=5000", "-g"]
        else:
            args += ["-O3", "-DNDEBUG"]
        if self.debug:
            args.append("-UNDEBUG")
        if self.sanitize:
            args += [f"-fsanitize={self.sanitize}", "-fno-omit-frame-pointer"]
        return args

    @property
    def link_args(self) -> list[str]:
        """Flags of the linker."""
        return [f"-fsanitize={self.sanitize}"] if self.sanitize else []


def check_cython() -> None:
    """Exit with advice unless the installed Cython is one this project is known to work with."""
    wanted = ".".join(map(str, CYTHON_WANTED))
    try:
        from Cython import __version__ as found
    except ImportError:
        sys.exit(f"graphflow needs Cython {wanted} to build; run: pip install 'Cython=={wanted}.*'")
    if tuple(int(part) for part in found.split(".")[:2]) != CYTHON_WANTED:
        sys.exit(
            f"graphflow needs Cython {wanted} to build, found {found} (older ones crash on "
            f"CPython 3.11 under GIL contention); run: pip install 'Cython=={wanted}.*'"
        )


def make_hints_errors() -> None:
    """Turn Cython's warnings, and its performance hints, into errors.

    There is no option for hints, so the function is replaced where the compiler uses it.
    """
    from Cython.Compiler import Errors, ExprNodes, Options, PyrexTypes, Symtab

    Options.warning_errors = True

    def performance_hint(position: Any, message: str, env: Any) -> None:
        if env.directives["show_performance_hints"]:
            Errors.error(position, f"performance hint: {message}")

    for module in (ExprNodes, PyrexTypes, Symtab):
        if not hasattr(module, "performance_hint"):
            sys.exit(f"setup.py: {module.__name__} has no performance_hint in this Cython")
        module.performance_hint = performance_hint


def translate(extensions: list[Extension], variant: Variant, force: bool) -> None:
    """Run Cython over the extensions and put the generated C++ files in as their sources."""
    check_cython()
    from Cython.Build import cythonize
    from Cython.Compiler.Errors import CompileError

    make_hints_errors()
    # Only forked helpers inherit make_hints_errors; elsewhere translate one by one.
    forks = multiprocessing.get_start_method() == "fork"
    try:
        translated = cythonize(
            extensions,
            compiler_directives=variant.directives,
            nthreads=(os.cpu_count() or 1) if forks else 0,
            annotate=variant.annotate,
            force=force,
        )
    except CompileError as error:
        sys.exit(f"Cython refused {error.message_only or 'a module'}; its reasons are above")
    sources = {extension.name: extension.sources for extension in translated}
    for extension in extensions:
        extension.sources = sources[extension.name]


def start_afresh() -> None:
    """Remove what an earlier build made of the .pyx files, for any Python."""
    for source in PYX:
        source.with_suffix(".cpp").unlink(missing_ok=True)
    for folder in Path("build").glob("temp.*"):
        shutil.rmtree(folder)
    # Not all of build/lib.*: an installation has put the Python files there by now.
    for folder in (Path("graphflow"), *Path("build").glob("lib.*")):
        for library in folder.rglob("*.so"):
            library.unlink()


class BuildCore(build_ext):
    """build_ext in parallel, that never mixes files of two variants."""

    def finalize_options(self) -> None:
        """Compile on all cores unless told otherwise."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self) -> None:
        """Translate and compile; everything anew when the variant is not that of last time."""
        name = repr(VARIANT)
        if not STAMP.exists() or STAMP.read_text() != name:
            start_afresh()
            STAMP.parent.mkdir(exist_ok=True)
            STAMP.write_text(name)
        translate(self.extensions, VARIANT, bool(self.force))
        super().run()


VARIANT = Variant.from_environment()
PYX = sorted(Path("graphflow").rglob("*.pyx"))
if VARIANT.sanitize:
    PYX.append(Path("tests/gates/planted.pyx"))  # faults that the sanitizer has to report
setup(
    ext_modules=[
        Extension(
            ".".join(path.with_suffix("").parts),
            [str(path)],
            language="c++",
            include_dirs=["graphflow/core/sync"],  # of chaos.h
            define_macros=VARIANT.macros,
            extra_compile_args=VARIANT.compile_args,
            extra_link_args=VARIANT.link_args,
        )
        for path in PYX
    ],
    cmdclass={"build_ext": BuildCore},
)
