import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from emrobust.ingest.seen import Seen


@given(st.lists(st.lists(st.sampled_from([f"V{i}" for i in range(60)]), max_size=25), max_size=20))
def test_the_first_of_each_is_found_whatever_the_batches(batches):
    seen, known = Seen(), set()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(key not in known)
            known.add(key)
        assert seen.add(pa.array(batch, pa.string())).tolist() == expected


def test_a_row_costs_eight_bytes():
    seen = Seen()
    for start in range(0, 200_000, 1000):
        assert seen.add(pa.array([f"V{i}" for i in range(start, start + 1000)])).all()
    held = sum(run.nbytes for run in seen._runs)
    assert held == 200_000 * 8
    assert len(seen._runs) < 12
