"""A nursery that is a program of its own: `python -m archive.decoding DESCRIPTOR`."""

import os
import socket
import sys

if __name__ == "__main__":
    os.putenv("OPENBLAS_NUM_THREADS", "1")  # before numpy starts threads, as what forks has none
    from archive.decoding import nursery

    nursery.run(socket.socket(fileno=int(sys.argv[1])))
