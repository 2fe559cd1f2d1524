"""The small clinic's pages on a port of this machine, for Chromium: plain HTTP on localhost, which browsers trust."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import uvicorn

from signin.small_desks import World
from signin.small_site import site


@contextmanager
def served(world: World):
    """The address of a running site over this world."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    origin = f"http://localhost:{listener.getsockname()[1]}"
    config = uvicorn.Config(site(world, origin), log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield origin
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
