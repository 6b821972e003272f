"""What `ainode demo` needs around the node: a PACS on loopback, studies without patients, and a sender of files.

These are the node's peers, no part of it: nothing in the node imports them.
"""
