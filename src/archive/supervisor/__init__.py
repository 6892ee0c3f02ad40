"""The parent of all workers: binds the sockets, starts, watches, restarts and drains; serves nothing itself.

serve     the whole of `archive serve`: folder, sockets, index, workers, greeting
forking   how a worker process is made
fleet     which worker runs, is silent, is dead, is to be started again; the drain
worker    the other side: what a worker process does from its first line to its last
ground    the data folder with its lock, and the listening sockets
logs      JSON lines on stderr, without patient data
"""
