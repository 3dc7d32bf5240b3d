"""Whether a summary can be trusted: its facts, who does what, what it leaves out, and one risk. No model, no torch."""
