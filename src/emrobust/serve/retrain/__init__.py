"""Doctors' feedback → a new training table, with the source of every label.

verdicts  what doctors said of each record, and who has the last word
codes     classes back to codes of the hospital's own table
table     the hospital's rows, with doctors' labels and the splits of the old run
retrain   all of it, into one folder with a project file that trains as it is
"""
