"""The pages of `aftercall web`: rendered on the server, without scripts."""
