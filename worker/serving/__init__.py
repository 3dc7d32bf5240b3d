"""What a worker serves: one model behind one engine, with an adapter that can be swapped while it runs."""
