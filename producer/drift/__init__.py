"""`aftercall drift`: whether a night's conversations and summaries are like those of the last nights."""
