"""Web ingest with asyncio: a slow graph slows its clients down, and does not fill the memory.

An HTTP endpoint answers a POST when the graph has taken its body, and until then `await inlet.aput()` lets the client
wait. Here twenty clients come at once while the graph stands still, as if its database were away. Its input holds four.

    python examples/asyncio_web_ingest.py

prints:

    20 POSTs have come: 4 are queued, 16 clients wait
    20 clients were answered 202 Accepted
    20 results, whose sum is 190; never more than 4 were queued
"""

import asyncio

from graphflow import Input, Message, Node, Scheduler, Subgraph

CLIENTS = 20


class Store(Node):
    """Stands for whatever awaits a database."""

    inputs, outputs = "in", "out"

    async def on_message(self, port: str, msg: Message) -> None:
        """Async hooks run on an event loop of the scheduler's."""
        await asyncio.sleep(0.001)
        self.emit("out", int(msg.payload))


class Endpoint:
    """Takes POSTs, one a connection."""

    def __init__(self, inlet: Input) -> None:
        self.inlet = inlet
        self.arrived = asyncio.Semaphore(0)  # released once for each POST that has come

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, hand its body to the graph, and answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        body = await reader.readexactly(length)
        self.arrived.release()
        await self.inlet.aput(body)  # full: this client waits, the others' requests are still read
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


async def post(port: int, body: bytes) -> str:
    """The status of the answer to one POST."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    answer = await reader.read()
    writer.close()
    return answer.decode().partition("\r\n")[0].removeprefix("HTTP/1.1 ")


async def main() -> None:
    """Run graph, server and clients on one event loop, for ten seconds at most."""
    graph = Subgraph.from_nodes("ingest", [Store("store")])
    graph.expose_input("posts", "store:in", capacity=4)
    graph.expose_output("stored", "store:out", capacity=CLIENTS)
    entrance, _ = graph.edges
    scheduler = Scheduler()
    scheduler.register(graph)
    scheduler.pause("store")  # its database is away
    async with asyncio.timeout(10), scheduler:
        endpoint = Endpoint(scheduler.input("posts"))
        async with await asyncio.start_server(endpoint.handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            clients = [asyncio.create_task(post(port, b"%d" % number)) for number in range(CLIENTS)]
            for _ in clients:
                await endpoint.arrived.acquire()
            queued, waiting = entrance.depth(), entrance.stats().blocked
            print(f"{CLIENTS} POSTs have come: {queued} are queued, {waiting} clients wait")
            scheduler.resume("store")
            answers = await asyncio.gather(*clients)
            scheduler.input("posts").close()  # so the graph ends, and then the output
            results = [message.payload async for message in scheduler.output("stored")]
    print(f"{answers.count('202 Accepted')} clients were answered 202 Accepted")
    peak = entrance.stats().peak_depth
    print(f"{len(results)} results, whose sum is {sum(results)}; never more than {peak} were queued")


if __name__ == "__main__":
    asyncio.run(main())
