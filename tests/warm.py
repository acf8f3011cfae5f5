"""`shop` processes that are forked from one which has imported the project already.

To import it takes a process of a test longer than most of what it is then asked to do. Who tests
the start itself, or what a process has in memory, starts one by its command line.
"""

import atexit
import ctypes
import gc
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REQUEST_BYTES = 1 << 17
PR_SET_CHILD_SUBREAPER = 36
POSSIBLE = sys.platform == "linux"
"""Whether this system lets a process have children that others forked."""


class Warm(subprocess.Popen[str]):
    """A process of `shop` with these arguments, as if started by its command line.

    Its command line and first environment, as others see them, are those of what it was forked of.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], **streams: Any
    ) -> None:
        """Start it; `streams` as `subprocess.Popen` takes them."""
        super().__init__(list(arguments), env=dict(environment), **{"text": True, **streams})

    def _execute_child(self, args: list[str], *rest: Any) -> None:  # type: ignore[override]
        environment, pipes = rest[5], rest[9:15]
        streams = [
            own if own != -1 else inherited
            for inherited, own in enumerate((pipes[0], pipes[3], pipes[5]))
        ]
        self.pid = _fork(args, environment, streams)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


@cache
def _server() -> socket.socket:
    """The way to the process that others are forked of, which ends with this one."""
    # What is forked of it becomes a child of this process, which can wait for it.
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
            cwd=ROOT,
            # It belongs to no home, whatever the test that needs it first has set.
            env={name: value for name, value in os.environ.items() if name != "SHOP_HOME"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait(60)

    atexit.register(end)
    return ours


def _fork(arguments: Sequence[str], environment: Mapping[str, str], streams: list[int]) -> int:
    request = json.dumps([arguments, dict(environment)]).encode()
    socket.send_fds(_server(), [request], streams)
    pid = int(_server().recv(100))
    assert pid, "no process was forked"
    return pid


def serve(sock: socket.socket) -> None:
    """Fork a process for each request; return in it, as what it is to be."""
    while True:
        request, streams, _, _ = socket.recv_fds(sock, REQUEST_BYTES, 3)
        if not request:
            os._exit(0)
        found, told = os.pipe()
        between = os.fork()
        if between == 0 and (pid := os.fork()):
            # The process that is wanted has no parent from now on but the one that asked for it.
            os.write(told, b"%d" % pid)
            os._exit(0)
        if between == 0:
            for number in (found, told, sock.detach()):
                os.close(number)
            _become(*json.loads(request), streams)
            return
        os.close(told)
        os.waitpid(between, 0)
        sock.send(os.read(found, 100) or b"0")
        for number in (found, *streams):
            os.close(number)


def _become(arguments: list[str], environment: dict[str, str], streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = [str(ROOT / "cli" / "start.py"), *arguments]
    # By it a wrong command line is answered.
    sys.modules["__main__"].__package__ = "cli"


if __name__ == "__main__":
    import streams.worker  # noqa: F401 what a service needs
    from cli.start import run

    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    run()
