"""The host: two HTTP listeners, who may call, limits, problem answers, and the operators' interface.

Read `host.py` first, then `batches.py`: a service center's batch comes in there.
"""
