"""Errors: a node tries again, and what fails for good becomes a dead letter. Everything else is delivered, in order.

`flaky` fails twice and then goes through. `poison` never does: after the third attempt it leaves by another port, with
all that is known of it. Between two attempts the node rests, a little longer each time, and holds no worker.

    python examples/retry_dead_letters.py

prints:

    attempts: {'first': 1, 'flaky': 3, 'poison': 3, 'last': 1}
    delivered: ['first', 'flaky', 'last']
    dead letter: 'poison'
      exception: ValueError('nobody can read poison')
      attempts: 3
      node: parse
"""

from collections import Counter

from graphflow import DeadLetter, ErrorPolicy, Message, Node, Scheduler, Subgraph
from graphflow.nodes import sink_node, source_node


class Parse(Node):
    """Raises for some messages, and need not care what becomes of the error."""

    inputs = "in"
    outputs = ("out", "failed")
    error_policy = ErrorPolicy.retry(3, backoff_s=0.01, then=ErrorPolicy.dead_letter("failed"))

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.attempts: Counter[str] = Counter()

    def on_message(self, port: str, msg: Message) -> None:
        """Send it on, or raise."""
        word = msg.payload
        self.attempts[word] += 1
        if word == "flaky" and self.attempts[word] < 3:
            raise ConnectionError("try later")
        if word == "poison":
            raise ValueError(f"nobody can read {word}")
        self.emit("out", word)


class DeadLetters(Node):
    """Keeps dead letters. They are ERROR messages, which a class sees like any other."""

    inputs = "in"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.letters: list[DeadLetter] = []

    def on_message(self, port: str, msg: Message) -> None:
        """Keep one."""
        self.letters.append(msg.payload)


def main() -> None:
    """Send four words through the node, and show where each went."""
    parse, dead = Parse("parse"), DeadLetters("dead")
    delivered: list[str] = []
    words = source_node(["first", "flaky", "poison", "last"], "words")
    graph = Subgraph.from_nodes("words", [words, parse, sink_node(delivered.append, "keep"), dead])
    graph.connect("words:out", "parse:in", capacity=16)
    graph.connect("parse:out", "keep:in", capacity=16)
    graph.connect("parse:failed", "dead:in", capacity=16)
    scheduler = Scheduler()
    scheduler.register(graph)
    scheduler.run()
    print("attempts:", dict(parse.attempts))
    print("delivered:", delivered)
    for letter in dead.letters:
        assert letter.message is not None  # None is for a tick
        print(f"dead letter: {letter.message.payload!r}")
        print(f"  exception: {letter.exception!r}\n  attempts: {letter.attempts}\n  node: {letter.node}")


if __name__ == "__main__":
    main()
