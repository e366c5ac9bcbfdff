"""The way of a note through the service: read, scored, recorded, answered."""

from __future__ import annotations

import numpy as np
import pytest

from emrobust import package

NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"


async def test_it_says_what_the_package_says_and_records_it(client, opened, served_package):
    asked = {"text": NOTE, "record_id": "V1", "top": 3}
    answer = await client.post("/v1/diagnose", json=asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    loaded = package.load(served_package, threads=1)
    own = loaded.predict_proba([NOTE])
    (probability,), (chosen,) = loaded.calibrate(own), loaded.decide(own)
    order = np.argsort(-probability)[:3]
    assert [label["label"] for label in found["labels"]] == [loaded.names[k] for k in order]
    assert [label["probability"] for label in found["labels"]] == pytest.approx(
        probability[order].tolist(), abs=1e-5
    )
    assert [label["chosen"] for label in found["labels"]] == chosen[order].astype(bool).tolist()
    assert found["set"]["coverage"] == 0.9
    row = opened.store.prediction(found["id"])
    assert (row["record_id"], row["model"], row["task"]) == ("V1", "clinic@1", "diagnose")
    assert "胸闷" not in str(row)
