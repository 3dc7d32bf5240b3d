"""`aftercall doctor`: one module for each part that it checks."""
