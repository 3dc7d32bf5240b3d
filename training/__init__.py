"""The refresh loop: labelled conversations become a better adapter in production."""
