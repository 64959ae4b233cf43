"""The command line: `python -m graphflow`, or `graphflow` where it is installed. It needs the extra "cli"."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (2 where click and rich are not installed)."""
    try:
        from graphflow.cli.commands import command
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        if library not in ("click", "rich"):
            raise
        print(f"the command line needs {library}: pip install 'graphflow[cli]'", file=sys.stderr)
        return 2
    return command(arguments)
