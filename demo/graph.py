from __future__ import annotations
class Graph:
    def __init__(self, world, *, premium): pass
    def answer(self, body, *, null_node): return b'{}'
