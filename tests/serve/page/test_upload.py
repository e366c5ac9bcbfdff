"""A table on its way: how far it is can be seen and heard, and it can be stopped."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

ROW = "V{k},P{k},2026-03-01,A,呼吸内科,男,40,咳嗽三天,患者咳嗽，咳黄痰，发热。,体健\n"
HEAD = "visit_no,patient_no,visit_time,site,department,sex,age,"
HEAD += "chief_complaint,present_illness,past_history\n"


def slow_down(page, bytes_per_second):
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send(
        "Network.emulateNetworkConditions", {**limits, "uploadThroughput": bytes_per_second}
    )


def test_an_upload_shows_how_far_it_is_and_can_be_stopped(visit, opened, tokens, tmp_path):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    table = tmp_path / "李四的表.csv"
    table.write_text(HEAD + "".join(ROW.format(k=k) for k in range(4000)), encoding="utf-8")
    page.click("#tab-batch")
    page.wait_for_selector("#jobs-title")
    slow_down(page, 150_000)
    page.set_input_files("#batch-file", table)
    page.wait_for_selector("#sending-stop:focus")
    page.wait_for_selector("#sending-bar:not([value='0'])")
    words = page.inner_text("#sending-words")
    assert "李四的表.csv" in words
    assert "%" in words
    assert "李四的表.csv" in page.inner_text("#said")
    page.click("#tab-diagnose")  # it goes on while another panel is seen
    page.click("#tab-batch")
    page.wait_for_selector("#sending-bar")
    page.click("#sending-stop")
    page.wait_for_selector("#batch-file:focus")
    page.wait_for_selector("#said:has-text('已取消上传')", state="attached")
    assert not page.is_visible("#trouble")
    slow_down(page, -1)
    page.set_input_files("#batch-file", table)
    page.wait_for_selector("[data-job]")
    assert page.locator("[data-job]").count() == 1, "what was stopped is no job"
    assert "%E6%9D%8E" not in "".join(seen.asked), "the file's name stays here"
    page.click("[data-focus^=stop-]")
    page.wait_for_selector(".state.cancelled")
    seen.check()


def test_a_file_that_is_no_table_is_refused_in_plain_words(visit, tokens, tmp_path):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    page.click("#tab-batch")
    for name, content, words in (
        ("a.docx", b"PK\3\4" * 1_000_000, "不支持这种文件"),
        ("a.csv", b"", "table.csv is empty. Export the table"),
        ("a.csv", b"one,two\n1,2\n", "表格缺少这些列，或有重名：visit_no、chief_complaint、"),
        ("a.xlsx", b"no Excel", "技术说明（英文）： table.xlsx is not an Excel workbook"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        page.set_input_files("#batch-file", file)
        page.wait_for_selector(f"#trouble:has-text('{words}')")
        assert "[source" not in page.inner_text("#trouble")
        page.click("#trouble button:last-child")
    assert page.locator("[data-job]").count() == 0


def test_a_failed_job_says_why_in_the_readers_language(visit, tokens, tmp_path):
    seen = visit()
    page = seen.sign_in(tokens["clinician"])
    page.click("#tab-batch")
    table = tmp_path / "a.csv"
    table.write_text(HEAD, encoding="utf-8")
    page.set_input_files("#batch-file", table)
    page.wait_for_selector("[data-job]:has-text('表格只有表头，没有数据行')")
    assert "the table" not in page.inner_text("[data-job]")
    page.click("#language")
    page.wait_for_selector("[data-job]:has-text('The table has a header but no rows')")
    seen.check()
