"""Batch jobs: a table in, predictions out, by a thread that goes on where a killed one stopped.

files    a job's folder: what is in it, whole or absent, and until when
task     one job: rows → the model → parts on disk → the store
cause    why a job failed, as a word
worker   the thread that takes jobs, one after the other, and erases what is over
"""

from emrobust.serve.jobs.cause import Cause, cause_of
from emrobust.serve.jobs.files import Files
from emrobust.serve.jobs.task import check_table
from emrobust.serve.jobs.worker import Worker

__all__ = ["Cause", "Files", "Worker", "cause_of", "check_table"]
