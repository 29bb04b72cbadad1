"""Every interleaving of a scheme by brute force: nothing is kept of a state but how to get there again.

Each move runs the scene anew from its start. States are compared by all of memory and all the threads' own variables.
Counts follow docs/language.md, "What is counted". Shares nothing with the search it checks.

Leaves out anything fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lockverse.lang import scene as lang_scene
from lockverse.lang.null import NULL
from lockverse.lang.percpu_refcount import percpu_ref_switch_lock
from lockverse.lang.structs import Array, declaration, is_object
from lockverse.lang.task import cpu_count
from lockverse.lang.types import is_scalar

from .interpreter import Context, Handler, Pruned, Thread, World
from .lifetimes import leaked
from .values import Fault, position_or_value

Schedule = tuple[tuple[int, int], ...]


@dataclass
class Found:
    """What brute force found. `failures` are all (length, reason) at the least length, with the fewest switches each."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    ends: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    length: int | None = None


class Replay:
    """A scene that is run from its start along a schedule."""

    def __init__(self, scheme: Callable[..., Any], arguments: Mapping[str, object]) -> None:
        self.scene = lang_scene.build(scheme, arguments)
        self.cpus = lang_scene.cpus_of(self.scene)
        self.objects: list[Any] = []
        self.cells: list[tuple[Any, Any]] = []
        self._numbers: dict[int, int] = {}
        roots = [*self.scene.names.values(), *(a for cpu in self.scene.cpus for a in (*cpu.args, *cpu.kwargs.values()))]
        roots += list(getattr(scheme, "__globals__", {}).values())
        roots.append(percpu_ref_switch_lock)
        roots += [one for pool in self.scene.pools.values() for one in pool.objects]
        self.heads: list[Any] = []
        with cpu_count(self.cpus):
            for root in roots:
                self._walk(root)
        self.initial = [self._get(*cell) for cell in self.cells]
        self.threads: list[Thread] = []
        self.world = World()

    def _walk(self, value: Any) -> None:
        if isinstance(value, list | tuple):
            for one in value:
                self._walk(one)
        if not is_object(value) or id(value) in self._numbers:
            return
        self._numbers[id(value)] = len(self.objects)
        self.objects.append(value)
        if isinstance(value, Array):
            for index, one in enumerate(value):
                if is_scalar(value.type.element):
                    self.cells.append((value, index))
                self._walk(one)
            return
        declared = declaration(type(value))
        assert declared is not None
        if declared.kind == "rcu_head":
            self.heads.append(value)
        if declared.kind in ("lock", "task", "rcu_head", "srcu", "seqcount", "wait_queue"):
            return
        for name, kind in declared.fields.items():
            if is_scalar(kind):
                self.cells.append((value, name))
            self._walk(getattr(value, name))

    @staticmethod
    def _get(owner: Any, key: Any) -> Any:
        return owner[key] if isinstance(owner, Array) else getattr(owner, key)

    def restart(self) -> None:
        """Back to the start: memory as it was, every thread before its first step."""
        for (owner, key), value in zip(self.cells, self.initial, strict=True):
            if isinstance(owner, Array):
                owner[key] = value
            else:
                setattr(owner, key, value)
        patches = {one.__lockverse_patch__: one for one in self.scene.patches}  # type: ignore[attr-defined]
        self.world = World(threads=len(self.scene.cpus) + len(self.heads), patches=patches)
        self.world.tasks = [cpu.task for cpu in self.scene.cpus]
        self.world.cpus.places = [(int(cpu.task.cpu), int(cpu.task.context)) for cpu in self.scene.cpus]
        heap = self.world.heap
        for kind, pool in self.scene.pools.items():
            heap.pools[kind] = pool.objects
            heap.allocated |= {id(one) for one in pool.objects[: pool.taken]}
            for one in pool.objects:
                heap.enter(one)
        self.threads = [
            self._thread(number, cpu, patches.get(cpu.function, cpu.function)) for number, cpu in enumerate(self.scene.cpus)
        ]
        self.threads += [Context(self.world, number, head) for number, head in enumerate(self.heads, len(self.scene.cpus))]

    def _thread(self, number: int, cpu: lang_scene.CpuDeclaration, function: Any) -> Thread:
        if cpu.leave is not None:
            return Handler(self.world, number, cpu, function)
        return Thread(self.world, number, function, cpu.args, dict(cpu.kwargs))

    def follow(self, schedule: Schedule) -> None:
        """Restart and run a schedule."""
        self.restart()
        for thread, choice in schedule:
            self.threads[thread].go(choice)

    def number(self, value: Any) -> object:
        """A value that can be compared."""
        if value is NULL or value is None:
            return ("null",)
        return ("object", self._numbers[id(value)]) if is_object(value) else position_or_value(value)

    def key(self) -> object:
        """The whole state, comparable."""
        memory = tuple(self.number(self._get(*cell)) for cell in self.cells)
        world = self.world
        shared = (
            tuple(sorted((self._numbers[lock], owner) for lock, owner in world.owner.items())),
            *(one.key(lambda one: self._numbers[one]) for one in (world.held, world.sleep)),
            world.rcu.key(lambda one: self._numbers[one]),
            world.cpus.key(),
            tuple(sorted(self._numbers[one] for one in world.heap.allocated)),
        )
        return memory, shared, tuple(thread.key(self.number) for thread in self.threads)

    def at_rest(self) -> bool:
        """Whether every thread has come to its end, or may stay where it is."""
        return all(thread.at_rest() for thread in self.threads)

    def broken(self) -> str | None:
        """The kind of the first property that does not hold now."""
        for one in self.scene.properties:
            if one.kind == "sometimes" or (one.kind == "at-rest" and not self.at_rest()):
                continue
            if not one.condition():  # type: ignore[operator]
                return one.kind
        held = [value for thread in self.threads for frame in thread.frames for value in (*frame.locals.values(), *frame.held)]
        return "leak" if self.at_rest() and leaked(self.world.heap, self.cells, held) else None

    def seen(self) -> set[int]:
        """The `sometimes` that hold now."""
        return {n for n, one in enumerate(self.scene.properties) if one.kind == "sometimes" and one.condition()}  # type: ignore[operator]


class _Search:
    def __init__(self, replay: Replay) -> None:
        self.replay, self.found = replay, Found()
        self.known: dict[object, int] = {}
        self.ways: list[Schedule] = []
        self.edges: list[list[tuple[int, int]]] = []  # per state: (thread, target)
        self.levels: list[int] = []
        self.failing: list[tuple[int, str, int | None, int]] = []  # length, reason, last thread, state
        self.ends: set[int] = set()
        self.seen: set[int] = set()

    def add(self, way: Schedule) -> tuple[int, bool]:
        key = self.replay.key()
        if key in self.known:
            return self.known[key], False
        number = self.known[key] = len(self.ways)
        self.ways.append(way)
        self.edges.append([])
        self.levels.append(len(way))
        self.seen |= self.replay.seen()
        wrong = self.replay.broken()
        if wrong is not None:
            self.failing.append((len(way), wrong, None, number))
        return number, True

    def run(self, limit: int) -> Found:
        try:
            self.replay.restart()
        except Fault as fault:
            self.found.failures, self.found.length = {fault.reason: 0}, 0
            return self.found
        except Pruned:
            return self.found
        self.add(())
        frontier, depth = [0], 0
        while frontier and not self.failing:
            following: list[int] = []
            for state in frontier:
                following += self.expand(state)
            frontier = following
            depth += bool(frontier)
            assert len(self.ways) <= limit, "too large for brute force"
        if not self.failing:
            self.whole()
        self.found.states, self.found.depth, self.found.ends = len(self.ways), depth, len(self.ends)
        self.shortest()
        return self.found

    def expand(self, state: int) -> list[int]:
        way, new = self.ways[state], []
        self.replay.follow(way)
        at_rest = self.replay.at_rest()
        finished = blocked = pruned = 0
        for thread in range(len(self.replay.threads)):
            self.replay.follow(way)
            stop = self.replay.threads[thread].stop
            if stop is None:
                finished += 1
                continue
            if not self.replay.threads[thread].ready():
                blocked += 1
                continue
            for choice in range(stop.options):
                self.replay.follow(way)
                self.found.transitions += 1
                try:
                    self.replay.threads[thread].go(choice)
                except Fault as fault:
                    self.failing.append((len(way) + 1, fault.reason, thread, state))
                    continue
                except Pruned:
                    pruned += 1
                    continue
                target, is_new = self.add((*way, (thread, choice)))
                self.edges[state].append((thread, target))
                new += [target] if is_new else []
        if at_rest or pruned:
            self.ends.add(state)
        if not at_rest and finished + blocked == len(self.replay.threads):
            self.failing.append((len(way), "deadlock", None, state))
        return new

    def whole(self) -> None:
        """What only the whole graph tells: a `sometimes` nobody saw, and states from which nothing ends."""
        for number, one in enumerate(self.replay.scene.properties):
            if one.kind == "sometimes" and number not in self.seen:
                self.failing.append((0, "sometimes", None, 0))
        good = set(self.ends)
        while True:
            more = {s for s, edges in enumerate(self.edges) if s not in good and any(t in good for _, t in edges)}
            if not more:
                break
            good |= more
        lost = [s for s in range(len(self.edges)) if s not in good and all(s in self.after(other) for other in self.after(s))]
        stuck = [state for state in lost if self.nobody_gets_on(state)]
        self.failing += [(self.levels[state], "deadlock" if stuck else "endless-spinning", None, state) for state in stuck or lost]

    def nobody_gets_on(self, state: int) -> bool:
        """Whether all threads that ever move from here on are at rest: handlers that could fire once more, loops through rest()."""
        movers = {thread for other in self.after(state) for thread, _ in self.edges[other]}
        self.replay.follow(self.ways[state])
        return all(self.replay.threads[thread].at_rest() for thread in movers)

    def after(self, state: int) -> set[int]:
        """All states that can be reached from a state, itself included."""
        reached, waiting = {state}, [state]
        while waiting:
            for _, target in self.edges[waiting.pop()]:
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return reached

    def shortest(self) -> None:
        """The least number of context switches of each failure of the least length: forwards, level by level."""
        if not self.failing:
            return
        self.found.length = min(length for length, *_ in self.failing)
        best: dict[tuple[int, int], int] = {(0, -1): 0}
        for state in sorted(range(len(self.ways)), key=lambda s: self.levels[s]):
            for (at, last), cost in [item for item in best.items() if item[0][0] == state]:
                for thread, target in self.edges[at]:
                    if self.levels[target] == self.levels[at] + 1:
                        new = cost + (last not in (-1, thread))
                        best[target, thread] = min(new, best.get((target, thread), new))
        for length, reason, thread, state in self.failing:
            if length == self.found.length:
                costs = [c + (thread is not None and last not in (-1, thread)) for (at, last), c in best.items() if at == state]
                self.found.failures[reason] = min([*costs, self.found.failures.get(reason, 1 << 30)])


def brute_force(scheme: Callable[..., Any], arguments: Mapping[str, object], limit: int = 5000) -> Found:
    """Explore a scheme by brute force. Fails with AssertionError above `limit` states."""
    replay = Replay(scheme, arguments)
    with cpu_count(replay.cpus):
        return _Search(replay).run(limit)
