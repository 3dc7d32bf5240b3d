"""Who runs this process, by the operating system."""

import os
import pwd


def current_user() -> str:
    """The name of the effective user; its number if it has no name.

    Not from the environment, which anyone can set.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
