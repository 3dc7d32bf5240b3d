"""A chunk of jobs on its way through the worker: claimed, prompted, completed, checked and written."""
