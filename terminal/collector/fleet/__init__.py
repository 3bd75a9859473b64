"""The collector for a fleet: gateways put signed batches into NATS JetStream, consumers copy them into PostgreSQL.

    terminal → gateway (any of many, holds nothing) → JetStream (three servers) → consumer → PostgreSQL

The promise is the embedded collector's. An acknowledgement is signed only for rows that are durable without a
gap before them, row for row under the hash that is acknowledged; docs/adr/0013 says why that holds.
"""
