"""The fault campaign: seeded nights in which every part is broken at random moments, and an account at the end."""
