"""Is the model still used on what it was made for, and are its probabilities still right?

settings     ``[monitor]`` of the service
level        size and chance → calm, watch or alarm
sketch       sums over the records of an hour; watch: how texts come into them
ledger       predictions and feedback of the store, counted by hour
drift        texts and answers against the package's reference (PSI, MMD)
rates        labels and abstention against it
calibration  probabilities against doctors' feedback
alarms       levels that outlive a restart, and what to do
report       all of it as ``/v1/monitor`` tells it
monitor      the thread that looks
"""
