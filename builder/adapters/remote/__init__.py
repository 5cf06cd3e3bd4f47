"""A workstation on another machine: one SSH connection to it, kept by a small process (`tunnel`), that carries the
engine's socket and the ports of the workstation.

`address` and `marks` are read by the fastest answers and import next to nothing; paramiko is loaded by who logs in.
"""
