"""From what an export holds to the text a model reads: HTML, e-mail, and single characters."""
