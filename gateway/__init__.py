"""The engine: takes messages in, carries them through their itineraries, and keeps the ledger.

It knows no partner. What it needs of one comes in through `gateway.ports`.
"""
