"""`aftercall report`: one HTML page about a night, for people."""
