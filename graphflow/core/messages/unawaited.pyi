def check_result(value: object, path: str, function: object) -> None:
    """Raise TypeError for what the function of a node has returned and nobody would ever run."""
