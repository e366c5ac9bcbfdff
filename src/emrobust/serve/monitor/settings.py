"""The service's ``[monitor]``; `docs/operations.md` explains each key."""

from __future__ import annotations

from pydantic import Field

from emrobust.config import Section


class MonitorSettings(Section):
    """When alarms are raised, and what they look at."""

    hours: int = Field(24, ge=1, le=720, description="that alarms look back on")
    seconds: float = Field(60.0, gt=0.0, description="between two looks")
    sample: float = Field(
        20.0, gt=0.0, le=10_000.0, description="texts a second whose features are counted, at most"
    )
    least: int = Field(200, ge=20, description="records below which nothing is said")
    least_feedback: int = Field(50, ge=10, description="answers of doctors, likewise")
    psi_watch: float = Field(0.1, gt=0.0, description="PSI from which a feature is watched")
    psi_alarm: float = Field(0.25, gt=0.0, description="PSI from which it is an alarm")
    latency: float = Field(
        0.25, gt=0.0, description="seconds that 95 % of answers may take; alarm at four times that"
    )
    feedback: float = Field(
        0.01, ge=0.0, lt=1.0, description="least share of diagnoses that doctors answer"
    )
