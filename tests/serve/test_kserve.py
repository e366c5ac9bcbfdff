"""KServe V2: tensors as the protocol has them, over HTTP, with a real model and a real store."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio
NOTE = "患者胸闷心悸3天，活动后加重，无发热。既往高血压病史10年。"
COUGH = "咳嗽咳痰"
INFER = "/v2/models/clinic/infer"


def asked(shape, data, **more):
    tensor = {"name": "text", "datatype": "BYTES", "shape": shape, "data": data}
    return {"inputs": [tensor], **more}


def numbers(answer):
    """Of the first tensor, which needs no id."""
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"][0]


async def test_texts_may_be_flat_or_in_rows(client):
    flat = numbers(await client.post(INFER, json=asked([2], [NOTE, COUGH])))
    for shape, data in (
        ([2, 1], [NOTE, COUGH]),
        ([2, 1], [[NOTE], [COUGH]]),
        ([1, 2], [[NOTE, COUGH]]),
    ):
        assert numbers(await client.post(INFER, json=asked(shape, data))) == flat


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        ([2, 1], [[NOTE, COUGH]]),
        ([2], [[NOTE], [COUGH]]),
        ([2, 2], [[NOTE, COUGH], [NOTE]]),
        ([2, 1], [[NOTE], COUGH]),
        ([1, 1], [[[NOTE]]]),
        ([0], []),
        ([1, 0], [[]]),
        ([2, 100], [[COUGH] * 100] * 2),
    ],
)
async def test_rows_of_another_shape_are_refused(client, opened, shape, data):
    answer = await client.post(INFER, json=asked(shape, data))
    assert answer.json()["type"] == "urn:emrobust:invalid", answer.text
    assert not opened.store.predictions()


async def test_outputs_come_in_the_order_in_which_they_are_asked_for(client):
    told = (await client.get("/v2/models/clinic")).json()
    names = [output["name"] for output in told["outputs"]]
    for wanted in ([], names, names[::-1], names[1:2]):
        outputs = [{"name": name} for name in wanted]
        answer = await client.post(INFER, json=asked([1], [NOTE], outputs=outputs))
        given = [output["name"] for output in answer.json()["outputs"]]
        assert given == (wanted or names)


async def test_a_prediction_can_be_answered_by_feedback(client, opened):
    answer = (await client.post(INFER, json=asked([2], [NOTE, COUGH], id="call 7"))).json()
    assert answer["id"] == "call 7"
    ids = answer["outputs"][-1]
    assert (ids["name"], ids["datatype"], ids["shape"]) == ("prediction", "BYTES", [2])
    for prediction in ids["data"]:
        given = {"prediction": prediction, "verdict": "rejected"}
        assert (await client.post("/v1/feedback", json=given)).status_code == 201
    assert len(opened.store.feedback()) == 2
    assert "id" not in (await client.post(INFER, json=asked([1], [NOTE]))).json()


async def test_an_error_is_told_as_the_protocol_has_it_and_as_a_problem(client):
    wrong = asked([1], [5])
    for path, body, status, said in (
        (INFER, wrong, 422, "body.inputs.0.data.0: Input should be a valid string"),
        (INFER, asked([3], [NOTE]), 422, "the shape is not that of the data. Send shape [n]."),
        ("/v2/models/other/infer", asked([1], [NOTE]), 404, "there is no such model"),
        ("/v2/nothing", {}, 404, "not found"),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["type"].startswith("urn:emrobust:")
        assert said in told["error"]
    assert "error" not in (await client.post("/v1/diagnose", json={})).json()
