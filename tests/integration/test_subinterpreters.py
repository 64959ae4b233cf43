"""graphflow is for one interpreter of a process, and says so in the others."""

from __future__ import annotations

import importlib.util

import pytest
from programs import finish, started

MODULE = next((name for name in ("_interpreters", "_xxsubinterpreters") if importlib.util.find_spec(name)), "")
COMMON = f"""
import sys
import {MODULE or "sys"} as interpreters
def elsewhere():
    "Import it in another interpreter; what that says is printed there."
    code = f'''
import sys
sys.path[:] = {{sys.path!r}}
try:
    import graphflow
except ImportError as error:
    print("elsewhere:", error, flush=True)
'''
    interpreters.run_string(interpreters.create(), code)
"""


@pytest.mark.skipif(not MODULE, reason="this Python has no module for sub-interpreters")
@pytest.mark.parametrize("first", ["main", "elsewhere"])
def test_an_import_in_another_interpreter_says_what_is_wrong(first: str) -> None:
    imports = """
try:
    import graphflow
    print("main: imported", flush=True)
except ImportError as error:
    print("main:", error, flush=True)
"""
    code, out, err = finish(started(COMMON + ("" if first == "main" else "elsewhere()") + imports + "elsewhere()"))
    assert code == 0, err
    lines = out.splitlines()
    assert any("graphflow works in one interpreter of a process" in line for line in lines), out
    assert "pip install" not in out
    if first == "main":
        assert "main: imported" in lines
