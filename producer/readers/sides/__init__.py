"""Which side a speaker is on: role words, rules of the user, and counts over the whole source."""
