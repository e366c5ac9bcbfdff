"""Which texts of an epoch are changed, and by what: rules, back-translation, a masked LM, MixUp.

    toolbox → shares (who gets what)
            ↘ pool → worker → rules (perturbations, in other processes)
            ↘ masked_lm, back_translation → cache (models, paid once before the first epoch)

What becomes of a record in an epoch is a function of the seed, the epoch and the record, however
many processes do the work. Nothing is imported here, so that workers start quickly.
"""
