# SPDX-License-Identifier: MIT
"""From a request to its result: who, which call, whether he may, the daemon, the values, the function."""

import functools
import inspect
import itertools

from . import access_calls, agent, backup, cluster, ct, power, snapshots, storage, tasks, vm  # noqa: F401
from . import schema
from .access import PRIVILEGES
from .clock import Signal, Wait, as_generator
from .errors import ApiError, FrontError, failed, invalid_parameters
from .registry import HANDLERS, python_names

REFUSAL = 3      # seconds before every 401
PATIENCE = 30    # seconds that the front end waits for the daemon
CONFLICT = "duplicate parameter (already defined in URI) with conflicting values!"


class Request:
    """One call on its way. `given` are parameters as they came, `parameters` as they were checked."""

    def __init__(self, world, front, method, path, given, authorization, accepts_gzip=False):
        self.world, self.front, self.method, self.path, self.given = world, front, method, path, given
        self.authorization, self.accepts_gzip = authorization, accepts_gzip
        self.who, self.parameters = None, {}
        self.total, self.plain_text = None, None


def authenticate(request):
    """A generator. The refusal takes its time."""
    try:
        who = request.world.access.authenticate(request.authorization)
        if who is not None:
            return who
        reason = "No ticket"
    except ApiError as error:
        reason = error.text
    yield REFUSAL
    raise FrontError(401, reason)


def answer(request):
    """A generator: the value of `data`."""
    request.who = yield from authenticate(request)
    found = schema.tree().find(request.method, request.path)
    if found is None or (found[0].method, found[0].path) not in HANDLERS:
        raise ApiError(501, f"Method '{request.method} {request.path}' not implemented")
    call, names = found
    conflicts = {name: CONFLICT for name, value in names.items() if str(request.given.get(name, value)) != value}
    if conflicts:
        raise invalid_parameters(conflicts)
    given = request.given | names
    if not call.takes_tokens:
        text = f"Permission check failed (URI '{request.path}' not available with API token, need proper ticket.\n)\n"
        raise ApiError(403, text)
    world = request.world
    world.access.check_call(call.permissions, request.who, given)
    node = names.get("node")
    if node is not None and call.proxied:
        check_node(world, node)
    if not call.protected:
        return (yield from carried_out(request, call, given))
    return (yield from world.daemon.handle(lambda: carried_out(request, call, given)))


def check_node(world, name):
    if name not in world.nodes:
        raise failed(f"hostname lookup '{name}' failed - failed to get address info for: {name}: "
                     "Temporary failure in name resolution")
    if not world.nodes[name].online:
        raise FrontError(595, "No route to host")


def carried_out(request, call, given):
    """A generator."""
    checker = schema.Checker(PRIVILEGES)
    request.parameters = checker.check(call, given)
    node = request.parameters.get("node")
    if node is not None and node not in request.world.nodes:
        check_node(request.world, node)
    handler = HANDLERS[call.method, call.path]
    arguments = accepted(handler, python_names(request.parameters))
    return (yield from as_generator(handler(request, **arguments)))


@functools.lru_cache(None)
def names_of(handler):
    """Of its arguments; None where it takes all."""
    takes = inspect.signature(handler).parameters
    return None if any(each.kind is each.VAR_KEYWORD for each in takes.values()) else set(takes)


def accepted(handler, arguments):
    takes = names_of(handler)
    return arguments if takes is None else {name: value for name, value in arguments.items() if name in takes}


class Daemon:
    """pvedaemon, behind the front end: works, hangs (and does everything later), or is dead."""

    def __init__(self, clock):
        self.clock, self.state, self.numbers = clock, "works", itertools.count()
        self.back, self.queue = Signal(), []

    def set(self, state):
        self.state = state
        if state == "works":
            queue, self.queue = self.queue, []
            for begin in queue:
                begin()
        elif state == "dead":
            self.queue = []

    def handle(self, work):
        """A generator. After 30 s the front end gives up; the work is done all the same once the daemon goes on."""
        if self.state == "dead":
            raise FrontError(595, "Connection refused")
        if self.state == "works":
            return (yield from work())
        done, box = Signal(), []

        def begin():
            def ended(result, error):
                box.append((result, error))
                done.fire()
            self.clock.spawn(work(), ended)

        self.queue.append(begin)
        if not (yield Wait(done, PATIENCE)):
            raise FrontError(596, "Connection timed out")
        result, error = box[0]
        if error:
            raise error
        return result
