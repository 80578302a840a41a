"""The loops behind the door: one module is one loop, and one process in production.

Each worker has `run(stop)`, which returns soon after the event `stop` is set. A lost database or stream is waited
for; what a worker did not finish is done again by the next one, from the log.
"""
