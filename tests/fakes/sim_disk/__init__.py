"""A disk that loses what a power cut may take, and fails as planned; see `Machine` and `crash`."""

from tests.fakes.sim_disk.crash import Crash, Image
from tests.fakes.sim_disk.disk import SimDisk
from tests.fakes.sim_disk.faults import CHANGES, Fault, Operation, PoweredOff, Step

__all__ = ["CHANGES", "Crash", "Fault", "Image", "Operation", "PoweredOff", "SimDisk", "Step"]
