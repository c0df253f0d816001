"""What others would build, and the harness that measures it beside the gateway.

`stub` is the partner of all of them. `celery_peer`, `dramatiq_peer`, `faststream_peer` and what they share
(`settings`, `records`, `wording`, `calls`, `intake`) run in an environment of their own and know nothing of
the gateway. The rest is the harness: who is measured (`contender`, `gateways`, `others`, with `services` and
`partner`), how (`sample`, `supply`, `verdict`), and what is made of it (`figures`, `chart`, `table`).
"""
