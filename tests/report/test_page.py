import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from emrobust import config
from emrobust.evaluate import evaluate
from emrobust.report import ReportContext, render, write_report

VOID = {"meta", "input", "br", "link"}


class Reader(HTMLParser):
    """Collects ids, links and text, and checks that every tag is closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.links += [attributes[key] for key in ("href", "src") if key in attributes]
        assert "style" not in attributes, "the policy forbids inline styles"
        assert not [key for key in attributes if key.startswith("on")]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def plots(page):
    return re.findall(r"<svg.*?</svg>", page, re.DOTALL)


@pytest.fixture(params=["zh", "en"])
def full(request, everything):
    evaluation, context = everything
    return render(evaluation, replace(context, language=request.param))


def test_every_part_is_there_in_order_and_well_formed(full):
    reader = Reader(full)
    assert reader.open == []
    order = "summary models tail labels table curves reliability confused learning lengths"
    assert reader.ids == [*order.split(), "rejects", "split", "configuration"]
    inside = [link.removeprefix("#") for link in reader.links]
    assert set(inside) <= set(reader.ids)
    for plot in plots(full):
        ET.fromstring(plot)  # noqa: S314 (our own output)
    assert len(plots(full)) >= 9 + 14


def test_the_least_renders_without_gaps(minimum):
    page = render(*minimum)
    reader = Reader(page)
    parts = "summary tail labels table curves reliability confused"
    assert " ".join(reader.ids) == parts
    shown = page.partition("<body>")[2].partition("<script>")[0]
    assert "None" not in shown
    assert "nan" not in shown.lower()
    for plot in plots(page):
        ET.fromstring(plot)  # noqa: S314 (our own output)


@pytest.mark.parametrize(
    "part",
    [
        "others",
        "split",
        "label_counts",
        "history",
        "lengths",
        "rejects",
        "rows_read",
        "configuration",
        "facts",
        "notes",
        "model",
        "title",
        "titles",
    ],
)
def test_any_part_may_be_missing(everything, part):
    evaluation, context = everything
    empty = getattr(ReportContext(), part)
    assert Reader(render(evaluation, replace(context, **{part: empty}))).open == []


def test_nothing_comes_from_elsewhere(full):
    assert "http://" not in full
    assert "https://" not in full
    assert "url(" not in full
    assert all(link.startswith("#") for link in Reader(full).links)
    assert "default-src 'none'" in full


def test_titles_stand_beside_the_names_of_classes(full):
    assert '<th scope="row">诊断0<small class="called">第零种诊断</small></th>' in full
    assert '<th scope="row">诊断1</th>' in full


def test_names_are_escaped(full):
    assert "<script>alert" not in full
    assert full.count("<script>") == 1
    assert "alert" in full, "the name is shown"


def test_the_summary_says_what_was_found(everything):
    evaluation, context = everything
    page = "".join(Reader(render(evaluation, replace(context, language="en"))).text)
    assert f"macro-F1 of {evaluation.scores['macro_f1']:.3f}" in page
    assert (
        f"best possible on the same records is {evaluation.ceiling.scores['macro_f1']:.3f}" in page
    )
    assert "the lead is not the luck of the draw" in page
    assert "3 patients are in two splits" in page
    assert "7 test records (2.9%)" in page
    assert "42 rows (3.0%) were refused" in page
    assert "Without a case" in page or "Diagnoses without a case" in page
    assert "这是合成数据。" in page


def test_a_score_above_the_ceiling_is_called_a_leak(everything):
    evaluation, context = everything
    turned = replace(evaluation.ceiling, ceiling=replace(evaluation, ceiling=None))
    page = render(turned, replace(context, language="en"))
    assert "above the best possible" in page
    assert "above the best possible" not in render(evaluation, replace(context, language="en"))


def test_single_label_reports_accuracy_and_folds_are_added_up():
    stream = np.random.default_rng(0)
    truth = np.eye(4, dtype=np.uint8)[stream.integers(0, 4, 80)]
    score = np.exp(stream.normal(size=(80, 4)) + 2 * truth)
    probability = score / score.sum(axis=1, keepdims=True)
    evaluation = evaluate(
        truth, probability, None, list("甲乙丙丁"), range(80),
        settings=config.Evaluate(bootstrap=5), task="single",
    )  # fmt: skip
    counts = {name: {"fold 0": 3, "fold 1": 4} for name in "甲乙丙丁"}
    page = render(evaluation, ReportContext(label_counts=counts))
    assert "准确率" in page
    assert "甲，全部记录：7 条" in page
    assert "阈值" not in "".join(re.findall(r"<th[^>]*>([^<]*)</th>", page))


def test_learning_curves_of_folds_and_without_validation(everything):
    evaluation, context = everything
    folds = [
        {"epoch": k, "loss": 1 / k, "macro_f1": None if k == 1 else 0.1 * k, "fold": fold}
        for fold in range(3)
        for k in range(1, 5)
    ]
    page = render(evaluation, replace(context, history=folds))
    section = page.partition('id="learning"')[2].partition("</section>")[0]
    assert section.count("<polyline") == 6
    assert section.count("<circle") == 3 * 4 + 3 * 3
    silent = [{"epoch": k, "loss": 1 / k, "macro_f1": None} for k in range(1, 5)]
    page = render(evaluation, replace(context, history=silent))
    assert page.partition('id="learning"')[2].partition("</section>")[0].count("<svg") == 1
    assert 'id="learning"' not in render(evaluation, replace(context, history=folds[:1]))


def test_hundreds_of_labels_show_both_ends_of_the_tail(everything):
    evaluation, context = everything
    counts = {f"标签{k}": {"train": 500 - k} for k in range(300)}
    page = render(evaluation, replace(context, label_counts=counts))
    assert "标签0" in page
    assert "标签299" in page
    assert "标签150" not in page
    assert "中间 220 个诊断未画出" in page


def test_the_file_is_written_whole(tmp_path, minimum):
    write_report(tmp_path / "new" / "report.html", *minimum)
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8") == render(*minimum)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["report.html"]
