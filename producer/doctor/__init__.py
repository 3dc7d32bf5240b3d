"""`aftercall doctor`: one module for each part that it looks at."""
