"""Entry point of the command line: `python -m core`."""

import signal

if __name__ == "__main__":
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        # Until the modules are imported, Ctrl-C ends the process without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from core.cli.main import main

    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)
    main()
