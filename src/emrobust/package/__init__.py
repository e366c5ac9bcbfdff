"""What leaves the lab: one folder with a model and all that it takes to use it rightly.

layout     the files of a package, its version, what makes a folder one
graph      a network as an ONNX graph, whole and in int8
export     a run → a package
decisions  what it decides and promises: thresholds, calibration, sets, abstention
lessons    what it may tell of the training records; knowledge: how that is used
drift      what texts and answers were like, for monitoring
diagnosis  probabilities → what a doctor is told: labels, a set, or that the model is not sure
ngrams     texts as counts of hashed character n-grams
tokens     texts → token numbers, without torch
engine     token numbers → probabilities: sessions, batches, threads
selftest   whether int8 says what fp32 says here, and which of the two is the quicker
model      the package as it is used

Nothing that loads a package imports torch or transformers: a service starts in a second.
"""

from emrobust.package.layout import is_package
from emrobust.package.model import Package, load

__all__ = ["Package", "is_package", "load"]
