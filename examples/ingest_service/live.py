"""The live page: what a browser shows of the graph, and the events that keep it moving.

GET /         the page, one file without anything from outside
GET /events   server-sent events, one every half a second; each is a JSON object, see `reading`. The event is named
              "reading", and "last" when the service stops
"""

import base64
import hashlib
import json
import re
from collections import deque
from pathlib import Path
from typing import Any

from examples.ingest_service.http_server import Text
from examples.ingest_service.streams import Stream
from graphflow import EdgeSnapshot, Scheduler, Snapshot

PAGE = Path(__file__).with_name("live.html")
EVENT_S = 0.5
RATE_EVENTS = 4  # a rate is of the time since so many events ago: steadier to read than of the latest half second


def live_page() -> Text:
    """Return the page. Nothing but the style and the script in it may take effect, and it may talk to us alone."""
    content = PAGE.read_bytes()
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src data:; "
        f"connect-src 'self'; style-src {_hash_of(b'style', content)}; script-src {_hash_of(b'script', content)}"
    )
    return Text(content, "text/html; charset=utf-8", {"Content-Security-Policy": policy})


def live_events(scheduler: Scheduler) -> Stream:
    """Return the events for one viewer."""
    past: deque[Snapshot] = deque(maxlen=RATE_EVENTS)

    def event(last: bool) -> bytes:
        now = scheduler.snapshot()
        data = json.dumps(reading(now, past[0] if past else None))
        past.append(now)
        return f"event: {'last' if last else 'reading'}\ndata: {data}\n\n".encode()

    return Stream(event, EVENT_S, "text/event-stream")


def reading(now: Snapshot, since: Snapshot | None) -> dict[str, Any]:
    """Return what the page shows, for `json.dumps`.

    Rates are messages a second, `busy` is a share from 0 to 1; both are of the time since `since`, and None without it.
    """
    seconds = 0.0 if since is None or now.run_s <= since.run_s else now.run_s - since.run_s
    earlier = since if since and seconds else None

    def per_second(kind: str, name: str, what: str) -> float | None:
        if earlier is None:
            return None
        return float(getattr(getattr(now, kind)[name], what) - getattr(getattr(earlier, kind)[name], what)) / seconds

    nodes = []
    for path, node in now.nodes.items():
        busy = per_second("nodes", path, "busy_s")
        nodes.append(
            {
                "path": path,
                "state": node.state,
                "messages": node.messages,
                "rate": per_second("nodes", path, "messages"),
                "busy": None if busy is None else min(1.0, max(0.0, busy / node.max_concurrency)),
                "errors": node.errors,
            }
        )
    edges = [_edge(edge) | {"rate": per_second("edges", edge.id, "delivered")} for edge in now.edges.values()]
    return {"graph": now.graph, "status": now.status, "uptime_s": now.run_s, "nodes": nodes, "edges": edges}


def _edge(edge: EdgeSnapshot) -> dict[str, Any]:
    source, _, target = edge.id.partition("->")
    return {
        "id": edge.id,
        "source": edge.source,  # None: from outside, through the port
        "source_port": source.rpartition(":")[2],
        "target": edge.target,
        "target_port": target.rpartition(":")[2],
        "depth": edge.depth,
        "capacity": edge.capacity,
        "offered": edge.offered,
        "delivered": edge.delivered,
        "dropped": edge.dropped,
        "blocked": edge.blocked_now or edge.deferred > 0,  # somebody has something for it and finds no room
    }


def _hash_of(tag: bytes, page: bytes) -> str:
    """Name the content of an element as a Content-Security-Policy does."""
    (content,) = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
