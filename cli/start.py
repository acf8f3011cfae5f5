"""Where `shop` begins: Ctrl-C and the standard streams, before modules are loaded for a second.

Ctrl-C ends the process as the signal does by default, without a word, until a command has begun and
after it has ended; in between it is a `KeyboardInterrupt`, and what was begun is ended in order.
"""

import signal
import sys


def run() -> None:
    """Run `shop`, and exit."""
    # Where SIGINT is ignored, such as in a shell's background, it stays so.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cli.standard_streams import guard_streams

    guard_streams()
    from cli.main import EXIT_INTERRUPTED
    from cli.main import run as run_command_line

    try:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run_command_line()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    run()
