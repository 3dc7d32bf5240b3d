"""How sources are read: bytes to lines, lines to records, records to conversations. `producer.source` is the door."""
