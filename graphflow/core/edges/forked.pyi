from typing import NoReturn

def leave_process(error: BaseException | None = None) -> NoReturn:
    """End this process as a program ends: by the code of a SystemExit, with 1 after any other error, else with 0."""
