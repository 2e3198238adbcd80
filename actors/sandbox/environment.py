"""What a command gets to see of the server's environment: nothing that the server was configured with.

What lives here: the clean environment of children and the shell that runs their commands. What must not: a
way to pass one more variable through. A list of what to remove would be one secret behind every new provider;
this is a list of what there is.
"""

import os
from pathlib import Path

__all__ = ["clean_environment", "shell_command"]

_SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh")


def clean_environment(home: str) -> dict[str, str]:
    """PATH, HOME, LANG and TERM. Only the search path is the server's, so that a command finds the same
    programs."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }


def shell_command(script: str) -> tuple[str, ...]:
    """The argument vector that runs a shell script: bash, or sh on a machine without it."""
    shell = next((shell for shell in _SHELLS if Path(shell).exists()), "sh")
    return (shell, "-c", script)
