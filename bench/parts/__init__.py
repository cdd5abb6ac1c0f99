"""The processes that measurements are made of: ``python -m bench.parts NAME OPTIONS``, one file each.

A part says on the first line of its output what others must know of it, and ends when its standard input is
closed: none outlives who started it. It imports no more than it needs, because it is started often.
"""
