"""emrobust: a hospital's own outpatient records into a diagnosis classifier it can trust."""

from importlib.metadata import version

__version__ = version("emrobust")
