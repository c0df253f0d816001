"""The life of a message, one file a step, named by its verb.

`admit.py` is the first half (read, validate, authorise, gate, route, record) and `carry.py` the second
(claim, then prepare, commit, deliver until nothing is left). Read those two first.
"""
