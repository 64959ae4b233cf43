"""An awaitable where a value is expected is an error of the node: what is in it would never be done."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, cast

import pytest
from graphs import Collect, Map, Source, Yield, assert_stopped_clean, chain, run_graph

from graphflow import Coalesce, Edge, ErrorPolicy, Message, MessageType, Node, PutResult, Subgraph
from graphflow.nodes import filter_node, flat_map_node, map_node, node, sink_node, source_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from graphflow import ShutdownReport


async def fetch(value: Any) -> Any:
    return value


class Later:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Iterator[Any]:
        yield from ()


class Undecorated:
    """What a decorator without functools.wraps leaves of an `async def`."""

    def __call__(self, value: Any) -> Any:
        return fetch(value)


class AsyncCall:
    async def __call__(self, value: Any) -> Any:
        return value


def numbers(value: Any) -> Iterator[int]:
    yield value


async def later_numbers(value: Any) -> AsyncIterator[int]:
    yield value


UNRUN: dict[str, Callable[[Any], Any]] = {
    "lambda": lambda value: fetch([value]),
    "object": Undecorated(),
    "partial": functools.partial(Undecorated()),
    "awaitable": lambda value: Later(),
}
FACTORIES: dict[str, Callable[..., Node]] = {
    "map": map_node,
    "filter": filter_node,
    "flat map": flat_map_node,
    "sink": sink_node,
    "node": lambda fn, name, **settings: node(name=name, **settings)(fn),
    "node without outputs": lambda fn, name, **settings: node(name=name, outputs=(), **settings)(fn),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "compiled": {},
    "concurrent": {"max_concurrency": 3},
    "retry": {"error_policy": ErrorPolicy.retry(2, backoff_s=0)},
    "dedicated": {"dedicated": True},
}


def run_one(made: Node, items: Any = (1, 2)) -> tuple[list[Any], ShutdownReport]:
    last = Collect()
    graph = Subgraph.from_nodes("g", [Source("source", items), made])
    graph.connect("source:out", (made.name, "in"))
    if made.outputs:
        graph.add_node(last)
        graph.connect((made.name, "out"), "collect:in")
    report = run_graph(graph)
    assert_stopped_clean(graph, report)
    return last.seen, report


@pytest.mark.filterwarnings("error::RuntimeWarning")  # "was never awaited"
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", FACTORIES)
@pytest.mark.parametrize("form", UNRUN)
def test_a_function_that_returns_an_awaitable_is_an_error_that_says_what_to_do(
    form: str, kind: str, settings: str
) -> None:
    seen, report = run_one(FACTORIES[kind](UNRUN[form], "made", **SETTINGS[settings]))
    assert seen == []
    assert report.error_counts == {"made": 2}
    for error in report.errors["made"]:
        assert isinstance(error, TypeError)
        assert "node 'made'" in str(error)
        assert "async def" in str(error)


async def forgets(value: Any) -> Any:
    return fetch(value)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("kind", [kind for kind in FACTORIES if kind != "flat map"])
def test_an_async_function_that_forgets_an_await_is_an_error(kind: str) -> None:
    seen, report = run_one(FACTORIES[kind](forgets, "made"))
    assert seen == []
    assert report.error_counts == {"made": 2}
    assert "coroutine" in str(report.errors["made"][0])


@pytest.mark.parametrize("fn", [AsyncCall(), functools.partial(AsyncCall()), functools.partial(fetch)])
def test_an_async_function_is_known_through_partials_and_callable_objects(fn: Any) -> None:
    seen, report = run_one(map_node(fn, "made"))
    assert sorted(seen) == [1, 2]
    assert report.errors == {}


class GeneratorCall:
    def __call__(self, value: Any) -> Iterator[int]:
        yield value


@pytest.mark.parametrize("make", [sink_node, filter_node])
@pytest.mark.parametrize("fn", [numbers, later_numbers, functools.partial(numbers, 1), GeneratorCall()])
def test_a_generator_function_where_nobody_iterates_is_refused(make: Any, fn: Any) -> None:
    with pytest.raises(TypeError, match="generator function"):
        make(fn, "made")


@pytest.mark.parametrize("make", [map_node, flat_map_node, node, source_node])
def test_an_async_generator_function_is_refused_by_every_factory(make: Any) -> None:
    with pytest.raises(TypeError, match="Node"):
        make(later_numbers)


@pytest.mark.parametrize("make", [sink_node, filter_node])
@pytest.mark.parametrize("fn", [lambda value: numbers([value]), lambda value: later_numbers([value])])
def test_a_generator_that_a_plain_function_returns_there_is_an_error(make: Any, fn: Any) -> None:
    seen, report = run_one(make(fn, "made"))
    assert seen == []
    assert "generator" in str(report.errors["made"][0])


def test_a_callable_generator_object_is_a_flat_map_for_the_decorator() -> None:
    seen, _ = run_one(node(name="made")(GeneratorCall()))
    assert seen == [1, 2]


def test_what_filters_find_is_as_true_as_before() -> None:
    found: list[Any] = [True, False, None, 0, 1, "", "x", [], [0], 0.0]
    seen, report = run_one(filter_node(lambda value: found[value], "made"), range(len(found)))
    assert seen == [0, 4, 6, 8]
    assert report.errors == {}


# ---------------------------------------------------------------------------------------- emit and yield


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "made",
    [
        Map("made", fetch),
        Map("made", lambda value: Later()),
        Yield("made", lambda value: [fetch(value)]),
        flat_map_node(lambda value: [fetch(value)], "made"),
    ],
    ids=["emit", "emit an awaitable", "yield", "flat map"],
)
def test_a_node_that_sends_an_awaitable_has_an_error(made: Node) -> None:
    seen, report = run_one(made)
    assert seen == []
    assert report.error_counts == {"made": 2}
    assert "where a value is expected" in str(report.errors["made"][0])


@pytest.mark.parametrize("make", [lambda items: source_node(items, "s"), lambda items: Source("s", items)])
def test_a_source_that_sends_an_awaitable_has_it_refused_and_goes_on(make: Any) -> None:
    last = Collect()
    report = run_graph(chain(make([1, Later(), 2]), last))
    assert last.seen == [1, 2]
    assert report.error_counts == {"s": 1}


def test_an_awaitable_in_a_message_is_sent_as_it_is() -> None:
    later = Later()
    seen, report = run_one(map_node(lambda value: Message(MessageType.DATA, later), "made"), [1])
    assert seen == [later]
    assert report.errors == {}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("items", [lambda: fetch(1), lambda: later_numbers(1)])
def test_a_source_function_that_returns_no_iterable_but_an_awaitable_has_failed(items: Any) -> None:
    report = run_graph(chain(source_node(items, "s"), Collect()))
    assert report.failed_sources == ("s",)
    assert "nobody runs" in str(report.errors["s"][0])


# ---------------------------------------------------------------------------------------- hooks

HOOKS = ("on_start", "on_message", "on_tick", "on_drain", "on_stop")


class Hooked(Node):
    inputs, outputs = "in", "out"
    tick_interval_ms = 1.0

    def __init__(self, hook: str, makes: Callable[[], Any]) -> None:
        super().__init__("hooked")
        setattr(self, hook, lambda *args: makes())


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("makes", [lambda: fetch(1), Later, lambda: later_numbers(1)])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_plain_hook_that_returns_an_awaitable_is_an_error(hook: str, makes: Callable[[], Any]) -> None:
    made = Hooked(hook, makes)
    made.ticking = True  # type: ignore[attr-defined]
    graph = chain(Source("source", slow_numbers() if hook == "on_tick" else [1]), made, Collect())
    report = run_graph(graph)
    assert f"{hook} of node 'hooked' returned" in str(report.errors["hooked"][0])


def slow_numbers() -> Iterator[int]:
    import time

    for number in range(10):
        time.sleep(0.003)
        yield number


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("makes", [lambda: fetch(1), Later, lambda: numbers(1), lambda: later_numbers(1)])
def test_an_on_error_that_returns_what_nobody_runs_is_logged(
    makes: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(Map):
        def on_error(self, exc: BaseException, msg: Message | None) -> Any:
            return makes()

    run_one(Fails("made", lambda value: 1 / 0))
    assert "on_error of node 'made' returned" in caplog.text


def test_an_async_node_awaits_whatever_awaitable_a_plain_hook_returns() -> None:
    done: list[Any] = []

    class Mixed(Node):
        inputs = "in"

        async def on_start(self) -> None:
            self.loop = asyncio.get_running_loop()

        def on_message(self, port: str, msg: Message) -> Any:
            return self.loop.create_task(self.work(msg.payload))

        async def work(self, value: Any) -> None:
            await asyncio.sleep(0)
            done.append(value)

    _, report = run_one(Mixed("mixed"))
    assert done == [1, 2]
    assert report.errors == {}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("makes", [lambda: fetch(1), lambda: numbers(1), lambda: later_numbers(1)])
def test_an_async_hook_that_returns_what_nobody_runs_is_an_error(makes: Callable[[], Any]) -> None:
    class Forgets(Node):
        inputs = "in"

        async def on_message(self, port: str, msg: Message) -> Any:
            return makes()

    _, report = run_one(Forgets("made"))
    assert report.error_counts == {"made": 2}
    assert "on_message of node 'made' returned" in str(report.errors["made"][0])


# ---------------------------------------------------------------------------------------- functions of edges


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_merge_function_that_returns_an_awaitable_has_failed() -> None:
    edge = Edge("a", "out", "b", "in", capacity=1, default_policy=Coalesce(lambda old, new: fetch(new)))
    edge.put(1)
    assert edge.put(2) is PutResult.REPLACED
    assert edge.get() == 2
    assert edge.stats().merge_errors == 1


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"default_policy": Coalesce(lambda old, new: new, key=cast("Any", fetch))},
        {"max_bytes": 10, "sizeof": fetch},
        {"default_policy": type("Asks", (), {"on_enqueue": lambda self, capacity, size, item: fetch(item)})()},
    ],
    ids=["key", "sizeof", "policy"],
)
def test_a_function_of_an_edge_that_returns_an_awaitable_is_refused(options: dict[str, Any]) -> None:
    edge = Edge("a", "out", "b", "in", **options)
    with pytest.raises(TypeError, match="make it a plain function"):
        edge.put(1)
    assert edge.is_empty()


# ---------------------------------------------------------------------------------------- forms that are refused


def hooked(**hooks: Any) -> Node:
    made: Node = type("Hooked", (Node,), {"inputs": "in", "outputs": "out", **hooks})("hooked")
    return made


def starts(self: Any, *args: Any) -> Iterator[int]:
    yield 1


async def starts_later(self: Any, *args: Any) -> AsyncIterator[int]:
    yield 1


async def awaits(self: Any) -> list[int]:
    return [1]


@pytest.mark.parametrize("hook", ["on_start", "on_stop", "on_error"])
@pytest.mark.parametrize("function", [starts, starts_later])
def test_a_generator_hook_that_would_not_run_is_refused(hook: str, function: Any) -> None:
    issues = Subgraph.from_nodes("g", [hooked(**{hook: function})]).validate()
    assert [issue.message for issue in issues if issue.code == "BAD_HOOK" and hook in issue.message]


@pytest.mark.parametrize("hook", ["on_message", "on_tick", "on_drain", "produce"])
@pytest.mark.parametrize("function", [starts, starts_later])
def test_a_generator_hook_that_runs_is_none(hook: str, function: Any) -> None:
    issues = Subgraph.from_nodes("g", [hooked(**{hook: function})]).validate()
    assert [issue for issue in issues if issue.code == "BAD_HOOK"] == []


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ({"produce": awaits}, "is a coroutine"),
        ({"produce": [1, 2]}, "must be a method"),
        ({"on_tick": None}, "must be a method"),
    ],
)
def test_a_hook_that_is_none_is_refused(hooks: dict[str, Any], said: str) -> None:
    issues = Subgraph.from_nodes("g", [hooked(**hooks)]).validate()
    assert [said in issue.message for issue in issues if issue.code == "BAD_HOOK"] == [True]


def test_a_subclass_may_switch_off_the_source_that_it_inherits() -> None:
    node = type("Off", (Source,), {"produce": None})("off", [])
    assert [issue for issue in Subgraph.from_nodes("g", [node]).validate() if issue.level == "error"] == []


class Unspeakable:
    """A function that nobody may look at while all is well: that would cost each message more than its hop."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __repr__(self) -> str:
        raise AssertionError("it was put into words")


def test_functions_are_put_into_words_only_where_something_is_wrong() -> None:
    for function in (map_node, filter_node, sink_node):
        made = function(Unspeakable(lambda value: value + 1), "node")
        graph = chain(Source("source", [1, 2]), made, *([] if function is sink_node else [Collect("collect")]))
        assert not run_graph(graph).errors
    policy = Coalesce(Unspeakable(lambda old, new: new), key=Unspeakable(lambda value: 0))
    edge = Edge("a", "out", "b", "in", max_bytes=9, sizeof=Unspeakable(lambda value: 1), default_policy=policy)
    for number in range(3):
        edge.put(number)
    assert edge.get() == 2
