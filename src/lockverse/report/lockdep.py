"""A trace as lockdep reports it: locks in a circle, a lock open to handlers that take it, a lock taken twice or given back by a stranger.

The layouts are those of kernel/locking/lockdep.c, Linux 6.1: `print_circular_bug`, `print_usage_bug`,
`print_irq_inversion_bug`, `print_deadlock_bug` and `print_unlock_imbalance_bug`. A deadlock is told as what lockdep would have said of its locks; one that is not made of locks alone is
none of lockdep's. What happened in executions other than the trace's comes below `[ in another execution ]`.

Leaves out the reports of other parts of the kernel (splats.py), classes of locks, which here are the locks themselves, and the stamps of
irq events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lockverse.trace.model import Blocked, Link, Reason, Trace

from .kernel import Locks, Taking, backtrace, banner, frames, lock_of, place, who
from .splats import exit_with_lock, held_lock_freed, sleeping, suspicious_rcu

DEADLOCK: Final = " *** DEADLOCK ***"
ELSEWHERE: Final = "[ in another execution ]"
_HELP: Final = "other info that might help us debug this:"


def lockdep(trace: Trace) -> list[str] | None:
    """The report, or None if lockdep has none for this."""
    locks = Locks(trace)
    match trace.failure.reason:
        case Reason.LOCK_ORDER:
            return _lock_order(trace, locks)
        case Reason.DEADLOCK:
            return _deadlock(trace, locks)
        case Reason.IRQ_LOCK_INVERSION:
            return _inversion(trace, locks)
        case Reason.RECURSIVE_LOCKING:
            return _recursive(trace, locks)
        case Reason.UNLOCK_BY_STRANGER:
            return _bad_unlock(trace, locks)
        case Reason.LOCK_HELD_AT_EXIT:
            return exit_with_lock(trace, locks)
        case Reason.SLEEPING_WHILE_ATOMIC:
            return sleeping(trace, locks)
        case Reason.HELD_LOCK_FREED:
            return held_lock_freed(trace, locks)
        case Reason.RCU_SELF_WAIT | Reason.RCU_IMBALANCE | Reason.SUSPICIOUS_RCU_USAGE:
            return suspicious_rcu(trace, locks)
    return None


def _at(trace: Trace, locks: Locks, taking: Taking) -> str:
    return f"{locks.named(taking)}, at: {place(trace, taking.thread, taking.stack)}"


def _verb(taking: Taking) -> str:
    return f"{'rlock' if taking.shared else 'lock'}({taking.lock});"


# Circles


class _Circle(Struct, frozen=True):
    """`wanted` is about to be taken with `held` held; `chain` leads from the one to the other: each of its locks is taken with the one
    before held, the first with `wanted`, and the last is `held`. `elsewhere`: in other executions than the trace's."""

    wanted: Taking
    held: Taking
    chain: tuple[Taking, ...]
    elsewhere: bool = False


def _lock_order(trace: Trace, locks: Locks) -> list[str] | None:
    failure = trace.failure
    if len(failure.chain) < 2:
        return None
    own, *others = failure.chain
    wanted = _taken(locks, own)
    held = next((one for one in locks.held.get(own.thread, ()) if one.lock == own.held), None)
    if held is None:
        return None
    chain = _chain(locks.takings, wanted.lock, held.lock)
    return _circular(trace, locks, _Circle(wanted, held, chain or tuple(_taken(locks, one) for one in others), elsewhere=not chain))


def _taken(locks: Locks, link: Link) -> Taking:
    """A link of a chain; in another execution only what the link says of its context is known."""
    one = locks.taking(link.thread, link.wanted, link.stack, link.kind)
    if not link.moves:
        return one
    return replace(one, held=(link.held,) if link.held else (), enabled=(link.open_to,) if link.open_to else ())


def _chain(takings: Sequence[Taking], first: str, last: str) -> tuple[Taking, ...]:
    """The shortest way from one lock to another, each taken while the one before is held; empty if the trace has none."""
    ways: dict[str, tuple[Taking, ...]] = {first: ()}
    waiting = [first]
    for lock in waiting:
        for one in takings:
            if lock in one.held and one.lock not in ways:
                ways[one.lock] = (*ways[lock], one)
                waiting.append(one.lock)
    return ways.get(last, ())


def _deadlock(trace: Trace, locks: Locks) -> list[str] | None:
    circle = _waiting_circle(trace, locks)
    if circle is None:
        return None
    takings = [locks.taking(one.thread, one.object or "", one.stack, one.kind) for one in circle]
    wanted, chain = takings[0], tuple(takings[1:])
    held = next(one for one in reversed(locks.takings) if one.lock == takings[-1].lock)
    if not chain:
        return _used_inconsistently(trace, locks, wanted, held, wanted.context, inside_last=True)
    return _circular(trace, locks, _Circle(wanted, held, chain))


def _waiting_circle(trace: Trace, locks: Locks) -> list[Blocked] | None:
    """Who waits for a lock of the next one's, from the one on that came to where it stands last."""
    known = {one.lock for one in locks.takings}
    for start in trace.failure.blocked:
        found = [start]
        while (after := _stands_in_the_way(trace, locks, found[-1])) is not None and after not in found:
            found.append(after)
        if after is start and all(one.object in known for one in found):
            last = max(range(len(found)), key=lambda index: _last_step(trace, found[index].thread))
            return found[last:] + found[:last]
    return None


def _stands_in_the_way(trace: Trace, locks: Locks, one: Blocked) -> Blocked | None:
    """Who has to go on for a lock to be given back: its holder, or what interrupted it."""
    holders = [one.holder] if one.holder is not None else locks.holders(one.object or "")
    cpus = {trace.columns[holder].cpu for holder in holders}
    stuck = trace.failure.blocked
    own = next((other for other in stuck if other.thread in holders), None)
    handler = (other for other in stuck if trace.columns[other.thread].context != "task" and trace.columns[other.thread].cpu in cpus)
    return own or next(handler, None)


def _last_step(trace: Trace, thread: int) -> int:
    return max((number for number, event in enumerate(trace.events) if event.thread == thread), default=-1)


def _circular(trace: Trace, locks: Locks, circle: _Circle) -> list[str]:
    wanted, held, chain = circle.wanted, circle.held, circle.chain
    lines = [
        *banner("WARNING: possible circular locking dependency detected"),
        f"{who(trace, wanted.thread)} is trying to acquire lock:", _at(trace, locks, wanted), "",
        "but task is already holding lock:", _at(trace, locks, held), "",
        "which lock already depends on the new lock.", "", "",
        "the existing dependency chain (in reverse order) is:",
    ]  # fmt: skip
    for number, one in reversed(list(enumerate((wanted, *chain)))):
        known = _frames(trace, one, elsewhere=circle.elsewhere and number > 0)
        lines += ["", f"-> #{number}{locks.named(one)}:", *(f"       {frame}" for frame in known)]
    lines += ["", _HELP, ""]
    parent = _as_held(locks, chain[-1], (wanted, *chain)[-2])
    if len(chain) > 1:
        lines += ["Chain exists of:", f"  {wanted.lock} --> {parent.lock} --> {held.lock}", ""]
    lines += [
        " Possible unsafe locking scenario:", "",
        _two("       CPU0", "CPU1"), _two("       ----", "----"),
        f"  {_verb(held)}", _two("", _verb(parent)), _two("", _verb(chain[-1])), f"  {_verb(wanted)}",
        "", DEADLOCK, "",
    ]  # fmt: skip
    return [*lines, *locks.holding(wanted.thread), *backtrace(trace, wanted.thread, wanted.stack)]


def _frames(trace: Trace, taking: Taking, *, elsewhere: bool) -> list[str]:
    return [*([ELSEWHERE] if elsewhere else []), *frames(trace, taking.thread, taking.stack)]


def _as_held(locks: Locks, last: Taking, before: Taking) -> Taking:
    """The lock of `before` as the thread of `last` had taken it, which may be shared."""
    return next((one for one in reversed(locks.takings) if (one.thread, one.lock) == (last.thread, before.lock)), before)


def _two(left: str, right: str) -> str:
    return f"{left.ljust(31)}{right}"


# A lock and handlers


def _inversion(trace: Trace, locks: Locks) -> list[str] | None:
    failure = trace.failure
    if len(failure.chain) < 2:
        return None
    mine, inside = _taken(locks, failure.chain[0]), _taken(locks, failure.chain[1])
    before = next((one for one in locks.takings if (one.lock, one.context) == (inside.lock, inside.context)), None)
    if before is None:  # a handler takes it in another execution, which counts as a use
        locks.takings.append(inside)
    if len(failure.chain) > 2:
        return _behind_another(trace, locks, before or inside, elsewhere=before is None)
    context = failure.chain[0].open_to
    return _used_inconsistently(trace, locks, mine, before or inside, context, inside_last=False, elsewhere=before is None)


def _behind_another(trace: Trace, locks: Locks, inside: Taking, *, elsewhere: bool) -> list[str]:
    """A lock taken where handlers can come that take another, under which, or under one that is taken under it, this one is taken."""
    own, _, *links = trace.failure.chain
    mine, way = _taken(locks, own), [_taken(locks, one) for one in links]
    kind, first = own.open_to.upper(), locks.named(inside)
    lines = [
        *banner("WARNING: possible irq lock inversion dependency detected"),
        f"{who(trace, mine.thread)} just changed the state of lock:", _at(trace, locks, mine),
        f"but this lock was taken by another, {kind}-safe lock in the past:", first, "", "",
        "and interrupts could create inverse lock ordering between them.", "", "", _HELP,
    ]  # fmt: skip
    if len(way) > 1:
        lines += ["Chain exists of:", f"  {inside.lock} --> {way[-2].lock} --> {mine.lock}", ""]
    under = mine if len(way) == 1 else way[-2]
    lines += [
        " Possible interrupt unsafe locking scenario:", "",
        _two("       CPU0", "CPU1"), _two("       ----", "----"), f"  {_verb(mine)}",
        _two("", "local_irq_disable();"), _two("", _verb(inside)), _two("", _verb(under)),
        "  <Interrupt>", f"    {_verb(inside)}", "", DEADLOCK, "",
        *locks.holding(mine.thread), "", "the shortest dependencies between 2nd lock and 1st lock:",
        *_class(f"->{first}", f"IN-{kind}-{_mode(inside)} at:", _frames(trace, inside, elsewhere=elsewhere), len(way)),
    ]  # fmt: skip
    for depth, one in zip(range(len(way) - 1, -1, -1), way, strict=True):
        lines += [f"{' ' * depth}  ... acquired at:", *(f"   {frame}" for frame in _frames(trace, one, elsewhere=True)), ""]
        last = depth == 0
        usage = f"{kind}-ON-{_mode(mine)} at:" if last else ""
        lines += _class(f"->{locks.named(mine if last else one)}", usage, _frames(trace, mine, elsewhere=False), depth)
    return [*lines, *backtrace(trace, mine.thread, mine.stack)]


def _class(name: str, usage: str, where: list[str], depth: int) -> list[str]:
    """A lock with one of its uses. What is deeper is further to the right; the kernel indents places by what it printed so far, the end of
    the line included."""
    left = " " * depth
    far = " " * len(f"{left}   {usage}\n")
    return [f"{left}{name} {{", *([f"{left}   {usage}", *(f"{far}{one}" for one in where)] if usage else []), f"{left} }}"]


def _used_inconsistently(
    trace: Trace, locks: Locks, mine: Taking, before: Taking, context: str, *, inside_last: bool, elsewhere: bool = False
) -> list[str] | None:
    """`mine` is the taking at the end, `before` the one that it does not go with, and `elsewhere` says that it is in another execution.
    `inside_last`: `mine` is the handler's."""
    if context not in ("hardirq", "softirq"):
        return None
    handlers, others = (mine, before) if inside_last else (before, mine)
    inside = f"IN-{context.upper()}-{_mode(handlers)}"
    outside = f"{context.upper()}-ON-{_mode(others)}"
    states = (outside, inside) if inside_last else (inside, outside)
    where = _frames(trace, before, elsewhere=elsewhere)
    return [
        *banner("WARNING: inconsistent lock state"),
        f"inconsistent {{{states[0]}}} -> {{{states[1]}}} usage.",
        f"{who(trace, mine.thread)} [{_contexts(mine)}] takes:", _at(trace, locks, mine),
        f"{{{states[0]}}} state was registered at:", *(f"  {frame}" for frame in where), "",
        _HELP, " Possible unsafe locking scenario:", "",
        "       CPU0", "       ----",
        f"  lock({mine.lock});", "  <Interrupt>", f"    lock({mine.lock});", "", DEADLOCK, "",
        *locks.holding(mine.thread), *backtrace(trace, mine.thread, mine.stack),
    ]  # fmt: skip


def _mode(taking: Taking) -> str:
    return "R" if taking.shared else "W"


def _contexts(one: Taking) -> str:
    """In a hardirq, in a softirq, hardirqs enabled, softirqs enabled."""
    hard, soft = int(one.context == "hardirq"), int(one.context == "softirq")
    return f"HC{hard}[{hard}]:SC{soft}[{soft}]:HE{int('hardirq' in one.enabled)}:SE{int('softirq' in one.enabled)}"


# One lock


def _recursive(trace: Trace, locks: Locks) -> list[str] | None:
    failure, lock = trace.failure, lock_of(trace)
    if lock is None or failure.thread is None:
        return None
    mine = locks.taking(failure.thread, lock, failure.stack, trace.events[-1].kind)
    held = next((one for one in locks.held.get(failure.thread, ()) if one.lock == lock), None)
    if held is None:
        return None
    return [
        *banner("WARNING: possible recursive locking detected"),
        f"{who(trace, mine.thread)} is trying to acquire lock:", _at(trace, locks, mine), "",
        "but task is already holding lock:", _at(trace, locks, held), "",
        _HELP, " Possible unsafe locking scenario:", "",
        "       CPU0", "       ----", f"  {_verb(held)}", f"  {_verb(mine)}", "", DEADLOCK, "",
        " May be due to missing lock nesting notation", "",
        *locks.holding(mine.thread), *backtrace(trace, mine.thread, mine.stack),
    ]  # fmt: skip


def _bad_unlock(trace: Trace, locks: Locks) -> list[str] | None:
    failure, lock = trace.failure, lock_of(trace)
    if lock is None or failure.thread is None:
        return None
    return [
        *banner("WARNING: bad unlock balance detected!"),
        f"{who(trace, failure.thread)} is trying to release lock ({lock}) at:", place(trace, failure.thread, failure.stack),
        "but there are no more locks to release!", "",
        _HELP, *locks.holding(failure.thread), *backtrace(trace, failure.thread, failure.stack),
    ]  # fmt: skip
