"""The ministry's network over AMQP: events out, commands in. The only package that knows kombu.

Read in this order: `port` (what it needs), `topology` (names on the broker), `event` and `command` (one
message each way), `publisher` and `consumer` (one thread each), `bus` (both together).
"""
