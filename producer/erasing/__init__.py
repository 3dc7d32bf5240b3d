"""`aftercall erase`: one conversation out of everything that aftercall wrote, with a receipt."""
