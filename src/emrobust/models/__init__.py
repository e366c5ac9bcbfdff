"""Classifiers of texts: a TF-IDF baseline and the networks that the training loop fits.

A model is one file with ``@register("model")``; its settings are the keyword-only arguments
of its constructor. A file registers either an estimator (`tfidf`) or a `network.Network`.
"""
