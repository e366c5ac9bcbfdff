"""The way from a hospital's table to a report, one file a step.

source ─ ingest ─ classes ─ split ─ labels ─► prepared folder      prepare
prepared folder ─ fit ─ thresholds ─► run folder                   train
run folder ─ metrics ─ intervals ─ ceiling ─► report               evaluate
run folder + table ─► predictions                                  predict
"""
