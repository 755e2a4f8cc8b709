"""What holds for every test."""

import signal

# A shell starts what it puts in the background deaf to Ctrl-C, and with it all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
