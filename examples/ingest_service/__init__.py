"""An ingestion service: TCP and HTTP in, a graph that parses, checks and counts, SQLite out.

`python -m examples.ingest_service --help` runs it as a service, and
`python -m examples.ingest_service.demo` feeds it a month of real flights and checks the result.
The graph is in `graph.py`; start reading there.
"""

try:
    import pydantic
except ImportError:
    raise ImportError(
        "the ingestion service checks its records with pydantic 2, which is not installed; "
        "run: pip install 'pydantic>=2.6'"
    ) from None

if pydantic.VERSION.startswith("1."):
    raise ImportError(
        f"the ingestion service needs pydantic 2, found {pydantic.VERSION}; run: pip install 'pydantic>=2.6'"
    )
