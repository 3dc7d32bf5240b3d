"""Where the bytes of a source lie: files, archives, workbooks, and what they are unpacked or converted to."""
