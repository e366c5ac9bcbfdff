"""Training: batches, losses, the loop, and the estimator that holds a trained network."""

from emrobust.train.classifier import NeuralClassifier
from emrobust.train.estimators import build, load

__all__ = ["NeuralClassifier", "build", "load"]
