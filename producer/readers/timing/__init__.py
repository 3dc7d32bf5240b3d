"""When something was said, and the order of turns that follows from it."""
