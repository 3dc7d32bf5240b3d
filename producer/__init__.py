"""In and out: source files become jobs, and summaries become files again."""
