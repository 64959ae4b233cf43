"""An ingestion service: lines of JSON in over TCP and HTTP, a graph that checks and counts them, SQLite out.

    python -m examples.ingest_service --db flights.db      the service
    python -m examples.ingest_service.demo                 the service, fed with a month of real flights

Where to read: `graph.py` has the nodes and how they are connected, `writer.py` the node that owns the database,
`service.py` how servers, graph and scheduler live and end together. `flights.py` says what a good line is. `live.py`
and `live.html` are the page at http://127.0.0.1:8080/ that shows the graph at work: every edge with its depth and its
rate, a full one in red and in words.
"""

try:
    import pydantic as _pydantic  # noqa: F401
except ImportError:
    raise ImportError("the ingestion service needs pydantic; run: pip install 'pydantic>=2.6'") from None
