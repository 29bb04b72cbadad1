"""A percpu_ref from its kill to its release (lib/percpu-refcount.c of Linux 6.1; cgroups, aio and block queues die this way).

`freed_at_once` takes what was counted to be gone when percpu_ref_kill() has returned; `freed_by_release` leaves it to the release
function. `get` takes a reference where it has none, which brings back what has been released; `tryget` does not get one then.
percpu_ref_kill() does not wait: in `offline_at_once` somebody is still inside, or comes in who looked before. What
is done in an RCU section with what percpu_ref_tryget_live() gave is over when the kill is confirmed (`offline_confirmed`).
"""
from lockverse import *


@struct
class css:
    ref: percpu_ref
    freed: bool
    offline: bool


def css_release(ref):
    c = container_of(ref, css, "ref")
    WRITE_ONCE(c.freed, True)


def css_nothing(ref):
    pass


def css_killed(ref):
    c = container_of(ref, css, "ref")
    WRITE_ONCE(c.offline, True)


def use(c):
    if percpu_ref_tryget_live(c.ref):
        assert not READ_ONCE(c.freed), "nobody frees what is in use"
        percpu_ref_put(c.ref)


def use_for_a_moment(c):
    rcu_read_lock()
    if percpu_ref_tryget_live(c.ref):
        assert not READ_ONCE(c.offline), "not offline while one is inside"
        percpu_ref_put(c.ref)
    rcu_read_unlock()


def use_with_get(c):
    percpu_ref_get(c.ref)
    percpu_ref_put(c.ref)


def use_with_tryget(c):
    if percpu_ref_tryget(c.ref):
        percpu_ref_put(c.ref)


def kill(c):
    percpu_ref_kill(c.ref)


def kill_and_free(c):
    percpu_ref_kill(c.ref)
    WRITE_ONCE(c.freed, True)


def kill_and_take_offline(c):
    percpu_ref_kill(c.ref)
    WRITE_ONCE(c.offline, True)


def kill_and_confirm(c):
    percpu_ref_kill_and_confirm(c.ref, css_killed)


@scheme
def freed_at_once():
    c = css()
    percpu_ref_init(c.ref, css_nothing)
    cpu(use, c)
    cpu(kill_and_free, c)


@scheme
def freed_by_release():
    c = css()
    percpu_ref_init(c.ref, css_release)
    cpu(use, c)
    cpu(kill, c)
    at_rest(lambda: c.freed and percpu_ref_is_zero(c.ref), "it is freed")


@scheme
def get():
    c = css()
    percpu_ref_init(c.ref, css_release)
    cpu(use_with_get, c)
    cpu(kill, c)


@scheme
def tryget():
    c = css()
    percpu_ref_init(c.ref, css_release)
    cpu(use_with_tryget, c)
    cpu(kill, c)
    at_rest(lambda: c.freed and percpu_ref_is_zero(c.ref), "it is freed")


@scheme
def offline_at_once():
    c = css()
    percpu_ref_init(c.ref, css_release)
    cpu(use_for_a_moment, c)
    cpu(kill_and_take_offline, c)


@scheme
def offline_confirmed():
    c = css()
    percpu_ref_init(c.ref, css_release)
    cpu(use_for_a_moment, c)
    cpu(kill_and_confirm, c)
    at_rest(lambda: c.offline and c.freed, "offline, then freed")
