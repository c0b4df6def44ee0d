"""What is installed, what is missing, and the command that fixes each gap."""

from .checks import Check, examine

__all__ = ["Check", "examine"]
