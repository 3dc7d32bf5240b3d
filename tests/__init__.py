"""Tests, sorted by cost: unit (no services), integration (real servers, real model), faults, gpu."""
