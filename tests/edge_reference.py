"""What docs/semantics.md and docs/policies.md say of one edge, with a list: what test_edge_model compares with."""

from __future__ import annotations

from typing import Any

from graphflow import Block, Coalesce, Drop, Latest, PutResult

OK, BLOCKED, DROPPED = PutResult.OK, PutResult.BLOCKED, PutResult.DROPPED
REPLACED, COALESCED = PutResult.REPLACED, PutResult.COALESCED
CUSTOM = "custom"

Payload = tuple[str, int]


def size_of(payload: Payload) -> int:
    return payload[1]


def merge(old: Payload, new: Payload) -> Payload:
    """The numbers add up; a size above 12 is cut, and two sizes of 7 fail."""
    if old[1] == new[1] == 7:
        raise ValueError
    return old[0], min(old[1] + new[1], 12)


class ByNumber:
    """A user's policy: what it answers hangs on the payload and on how full the edge is."""

    def on_enqueue(self, capacity: int, size: int, item: Any) -> PutResult:
        number = getattr(item, "payload", item)[1]
        if size < capacity // 2:
            return OK
        return (OK, BLOCKED, DROPPED, REPLACED)[number % 4]


POLICIES: dict[str, Any] = {
    "block": Block(),
    "drop": Drop(),
    "latest": Latest(),
    "coalesce": Coalesce(merge),
    "keyed": Coalesce(merge, key=lambda payload: payload[0]),
    CUSTOM: ByNumber(),
}


class Reference:
    """The contents of an edge and its counts. Time is in nanoseconds, as a sum of what has passed."""

    def __init__(self, capacity: int, max_bytes: int | None, kind: str, ttl_s: float | None) -> None:
        self.capacity, self.max_bytes, self.kind = capacity, max_bytes, kind
        self.ttl = None if ttl_s is None else round(ttl_s * 1e9)
        self.now = 0
        self.items: list[tuple[Payload, int]] = []  # and when each was put
        self.lane: list[int] = []
        self.closed = False
        self.peak = 0
        names = ["offered", "delivered", "dropped", "replaced", "coalesced", "expired", "blocked", "merge_errors"]
        self.counts = dict.fromkeys(names, 0)

    def used(self) -> int:
        return sum(size_of(item) for item, _ in self.items)

    def fits(self, size: int) -> bool:
        return len(self.items) < self.capacity and (self.max_bytes is None or self.used() + size <= self.max_bytes)

    def is_full(self) -> bool:
        return len(self.items) >= self.capacity or (self.max_bytes is not None and self.used() >= self.max_bytes)

    def expire(self) -> None:
        """What is older than its time to live is gone."""
        if self.ttl is not None:
            young = [(item, put) for item, put in self.items if self.now - put <= self.ttl]
            self.counts["expired"] += len(self.items) - len(young)
            self.items = young

    def offer(self, item: Payload, kind: str) -> PutResult:
        size = len(self.items)  # a user's policy is asked before anything is looked at
        self.expire()
        if kind == "keyed":
            answer = self._keyed(item)
        elif kind == CUSTOM:
            answer = self._by_verdict(item, POLICIES[CUSTOM].on_enqueue(self.capacity, size, item))
        else:
            answer = self._unkeyed(item, kind)
        self.counts["blocked" if answer is BLOCKED else "offered"] += 1
        return answer

    def put_control(self, number: int, room: bool) -> None:
        self.expire()
        if room:
            self.lane.append(number)
            self._note_peak()
        self.counts["offered" if room else "blocked"] += 1

    def _keyed(self, item: Payload) -> PutResult:
        for place, (old, _) in enumerate(self.items):
            if old[0] == item[0]:
                return self._merge(place, item)
        return self._append(item) if self.fits(item[1]) else BLOCKED

    def _by_verdict(self, item: Payload, verdict: PutResult) -> PutResult:
        if verdict is OK:
            return self._unkeyed(item, "block")
        if verdict is DROPPED:
            self.counts["dropped"] += 1
        if verdict is REPLACED and self.items:
            return self._evict_for(item, 1)
        return self._append(item) if verdict is REPLACED else verdict

    def _unkeyed(self, item: Payload, kind: str) -> PutResult:
        if self.fits(item[1]):
            return self._append(item)
        if kind == "drop":
            self.counts["dropped"] += 1
            return DROPPED
        if kind == "latest":
            return self._evict_for(item, 1 if len(self.items) >= self.capacity else 0)
        return self._merge(len(self.items) - 1, item) if kind == "coalesce" else BLOCKED

    def _evict_for(self, item: Payload, count: int) -> PutResult:
        """The oldest make way: `count` of them, and as many more as the bytes of the newcomer need."""
        self._evict(count)
        while self.max_bytes is not None and self.used() + item[1] > self.max_bytes:
            self._evict(1)
        self._append(item)
        return REPLACED

    def _append(self, item: Payload) -> PutResult:
        self.items.append((item, self.now))
        self._note_peak()
        return OK

    def _note_peak(self) -> None:
        self.peak = max(self.peak, len(self.items) + len(self.lane))

    def enqueued(self) -> int:
        """Of what was offered, what was not lost at the door: a newcomer whose merge failed did enter."""
        return self.counts["offered"] - self.counts["dropped"] - self.counts["coalesced"]

    def _evict(self, count: int) -> None:
        del self.items[:count]
        self.counts["replaced"] += count

    def _merge(self, place: int, item: Payload) -> PutResult:
        old = self.items[place][0]
        failed = False
        try:
            merged = merge(old, item)
        except ValueError:
            merged, failed = item, True
            self.counts["merge_errors"] += 1
        used = self.used() - old[1] + merged[1]
        if self.max_bytes is not None and merged[1] > old[1] and used > self.max_bytes:
            return BLOCKED
        self.items[place] = (merged, self.now)
        self.counts["replaced" if failed else "coalesced"] += 1
        return REPLACED if failed else COALESCED

    def take(self) -> Any:
        """The next item, None if there is none."""
        self.expire()
        if not self.lane and not self.items:
            return None
        self.counts["delivered"] += 1
        return self.lane.pop(0) if self.lane else self.items.pop(0)[0]
