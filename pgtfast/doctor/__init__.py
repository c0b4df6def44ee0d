"""What is installed, what is missing, and the command that fixes each gap."""

from ._report import DoctorConfig, doctor
from .checks import Check, examine

__all__ = ["Check", "DoctorConfig", "doctor", "examine"]
