"""FHIR R4: what is read of a hospital's resources, and what is answered; no call ever goes out.

resources    the few elements that are read, as models; everything else is passed over
attachment   a document's bytes → text
reading      resources → the note that a model reads, whose it is, and what it rests on
writing      a diagnosis → RiskAssessment and provisional Condition
outcome      errors as OperationOutcome

These are small models of our own and not a library's: `fhir.resources` checks every element of
every resource, so a document with a fault where nothing is read would be refused, and importing
it takes half of the three seconds in which the service starts. Its models of R4B took the answers
of `writing` without a complaint when they were written.
"""
