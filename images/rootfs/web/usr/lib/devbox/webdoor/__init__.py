"""The web door of a workstation: serves our page and noVNC, and bridges /websockify to the VNC port.

Why not websockify: it takes a process of 20 MB for each viewer and each probe, serves whole folders without a word
on caching, and takes a web socket from any page on any site. This is a third of the memory, in one process, and
answers only what it knows.

By phase: `server` listens and follows a connection, `http` reads a request and writes an answer, `files` are what may
be asked for, `rules` say who is refused, `websocket` carries VNC. `tls` and `login` are for an exposed workstation, and
are not even imported in another one. Standard library only, and little of it: this starts with the desktop.
"""
