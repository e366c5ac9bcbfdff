"""The de-identification report and the self-assessment: what was done, what may be left.

One HTML file without a script, in the look of the evaluation's report; the page's policy allows
its own style and nothing else. All of it is made from ``deid_report.json``, which holds counts
and places, so no text of a record can get here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from emrobust import config, runs
from emrobust.deid import risk
from emrobust.deid.audit import wilson
from emrobust.placeholders import PLACEHOLDERS
from emrobust.report import data_use, plot, shell
from emrobust.report.words import Words, load

STRINGS = "deid_strings.toml"
Facts = Mapping[str, Any]


class Card(NamedTuple):
    """A key number."""

    name: str
    value: str
    text: str


class Names:
    """The words of one language, with those for kinds and operators."""

    def __init__(self, language: str) -> None:
        table = load(STRINGS)
        self.words = Words(language, STRINGS)
        self.kinds: Mapping[str, str] = _section(table, "kinds", language)
        self.operators: Mapping[str, str] = _section(table, "operators", language)

    def kind(self, kind: str) -> str:
        """A kind's name."""
        return self.kinds.get(kind, kind)

    def operator(self, operator: str) -> str:
        """An operator's name."""
        return self.operators.get(operator, operator)


def _section(table: Mapping[str, Any], name: str, language: str) -> Mapping[str, str]:
    section: Mapping[str, str] = table[name][language]
    return section


def write_report(path: Path, facts: Facts, name: str = "", language: str = "zh") -> None:
    """Write the report, all or nothing.

    Args:
        path: of the HTML file.
        facts: of `emrobust.deid.Deidentifier.facts`, and ``local`` of a review if there was one.
        name: of the project.
        language: ``zh`` or ``en``.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    runs.write_text(path, render(facts, name, language))


def render(facts: Facts, name: str = "", language: str = "zh") -> str:
    """The report's HTML."""
    names = Names(language)
    w = names.words
    audit = facts.get("audit")
    return shell.fill(
        "deid.html.j2",
        w=w,
        title=f"{w('title')} {name}".strip(),
        name=name,
        today=_today(),
        verdict=_verdict(facts, w),
        cards=_cards(facts, w),
        found=_found(facts, names),
        audit=audit,
        known=_known(audit, names) if audit else (),
        captures=_captures(audit, names) if audit else (),
        places=audit["rare"]["places"] if audit else (),
        risk=_risk(facts.get("risk"), w),
        rare_patients=risk.benchmarks()["rare_patients"],
        benchmarks=(facts.get("risk") or {}).get("benchmarks", ()),
        sizes=_sizes(facts.get("risk"), w),
        local=_local(facts.get("local"), names),
        data_use=data_use.describe(facts.get("governance", {}), language),
        how=_how(facts, w),
        operators=[
            (names.kind(kind), names.operator(facts["operators"][kind]))
            for kind in PLACEHOLDERS
            if kind in facts["operators"]
        ],
    )  # fmt: skip


def _today() -> str:
    """The day on this machine's clock: UTC would be yesterday's on a Chinese morning."""
    return f"{dt.datetime.now().astimezone():%Y-%m-%d}"


def _total(facts: Facts) -> int:
    return sum(number for of in facts["found"].values() for number in of.values())


def _verdict(facts: Facts, w: Words) -> list[str]:
    left = sum(facts["direct_identifiers_left"].values())
    lines = [
        w(
            "verdict_left" if left else "verdict_clean",
            rows=f"{facts['rows']:,}",
            characters=f"{facts['characters']:,}",
            found=f"{_total(facts):,}",
            left=f"{left:,}",
        )
    ]
    known = (facts.get("audit") or {}).get("known", {}).values()
    if any(of["left"] or of["part"] for of in known):
        left, part = (sum(of[which] for of in known) for which in ("left", "part"))
        lines.append(w("verdict_known", left=f"{left:,}", part=f"{part:,}"))
    if facts.get("risk"):
        of = facts["risk"]
        lines.append(
            w("verdict_risk", k=of["k"], grade=of["grade"], maximum=f"{of['maximum_risk']:.3f}",
              average=f"{of['average_risk']:.3f}")
        )  # fmt: skip
        unmet = sum(not benchmark["met"] for benchmark in of["benchmarks"])
        if unmet:
            lines.append(w("verdict_unmet", unmet=unmet, all=len(of["benchmarks"])))
    return lines


def _cards(facts: Facts, w: Words) -> list[Card]:
    total, left = _total(facts), sum(facts["direct_identifiers_left"].values())
    rate = 1000 * total / max(facts["characters"], 1)
    touched = f"{facts['rows_touched']:,}"
    cards = [
        Card(w("card_rows"), f"{facts['rows']:,}", w("card_rows_text", touched=touched)),
        Card(w("card_found"), f"{total:,}", w("card_found_text", rate=f"{rate:.1f}")),
        Card(w("card_left"), f"{left:,}", w("card_left_text")),
    ]
    of = facts.get("risk")
    if of:
        meaning = w(f"grade_{of['grade']}")
        cards += [
            Card(w("card_k"), f"{of['k']:,}", w("card_k_text")),
            Card(w("card_maximum"), f"{of['maximum_risk']:.3f}", w("card_maximum_text")),
            Card(w("card_average"), f"{of['average_risk']:.3f}", w("card_average_text")),
            Card(w("card_grade"), str(of["grade"]), w("card_grade_text", meaning=meaning)),
        ]
    return cards


def _found(facts: Facts, names: Names) -> list[dict[str, Any]]:
    found = {kind: sum(of.values()) for kind, of in facts["found"].items()}
    most = max(found.values(), default=1)
    comma = "、" if names.words.language == "zh" else ", "
    return [
        {
            "kind": names.kind(kind),
            "operators": comma.join(
                names.operator(operator) + (f" {n:,}" if len(facts["found"][kind]) > 1 else "")
                for operator, n in facts["found"][kind].items()
            ),
            "count": f"{number:,}",
            "length": number / most,
        }
        for kind, number in sorted(found.items(), key=lambda item: -item[1])
    ]


def _share(hits: int, of: int) -> tuple[str, str]:
    """A share and its interval; nothing where nothing was counted."""
    if of == 0:
        return "–", ""
    share, low, high = wilson(hits, of)
    return f"{share:.3f}", f"{low:.3f}–{high:.3f}"


def _known(audit: Facts, names: Names) -> list[dict[str, str]]:
    rows = []
    for kind, of in audit["known"].items():
        recall, interval = _share(of["found"], of["there"])
        counts = {which: f"{of[which]:,}" for which in ("there", "found", "left", "part")}
        rows.append({"kind": names.kind(kind), "recall": recall, "interval": interval, **counts})
    return rows


def _captures(audit: Facts, names: Names) -> list[dict[str, str]]:
    rows, w = [], names.words
    for kind, of in audit["captures"].items():
        recall, interval = _share(of["both"], of["second"])
        seen = of["rules"] + of["second"] - of["both"]
        row = {
            "kind": names.kind(kind),
            **{which: f"{of[which]:,}" for which in ("rules", "second", "both")},
            "recall": recall,
            "recall_interval": interval,
        }
        if of["total"] is None:
            row |= {"total": w("not_estimable"), "total_interval": "", "unseen": "–"}
        else:
            row |= {
                "total": f"{of['total']:,.0f}",
                "total_interval": f"{of['low']:,.0f}–{of['high']:,.0f}",
                "unseen": f"{max(of['total'] - seen, 0):,.1f}",
            }
        rows.append(row)
    return rows


def _risk(of: Facts | None, w: Words) -> list[tuple[str, str]]:
    if not of:
        return []
    counts = [(w(key), f"{of[key]:,}") for key in ("patients", "classes")]
    # Read back from JSON, keys come in the order of their letters.
    shares = sorted(of["share_below"].items(), key=lambda item: int(item[0]))
    below = [(w("below", k=k), f"{share:.1%}") for k, share in shares]
    return [
        *counts,
        (w("card_k"), f"{of['k']:,}"),
        (w("k_median"), f"{of['k_median']:,.0f}"),
        (w("l"), f"{of['l']:,}"),
        (w("rare_diagnoses"), f"{of['rare_diagnoses']:,}"),
        (w("card_maximum"), f"{of['maximum_risk']:.3f}"),
        (w("card_average"), f"{of['average_risk']:.3f}"),
        *below,
    ]


def _sizes(of: Facts | None, w: Words) -> Markup:
    """Patients by the size of their class, as bars."""
    if not of:
        return Markup()
    bars = of["sizes"]
    ticks = tuple((place + 0.5, label) for place, (label, _) in enumerate(bars))
    panel = plot.Panel(
        plot.Axis(w("axis_sizes"), 0, len(bars), ticks),
        plot.linear(w("axis_patients"), 0, max(n for _, n in bars) * 1.1),
        height=210,
    )
    parts = [plot.frame(panel)]
    for place, (label, number) in enumerate(bars):
        colour = plot.VERMILION if place < _SMALL else plot.BLUE
        tip = w("tip_size", size=label, n=f"{number:,}")
        parts.append(plot.bar(panel, place + 0.1, place + 0.9, number, colour, tip=tip))
    height = panel.top + panel.height + 44
    title, description = w("figure_sizes"), w("describe_sizes")
    return Markup(plot.svg(parts, title=title, description=description, height=height))  # noqa: S704 (escaped)


_SMALL = 3  # bars of classes below five patients


def _local(local: Facts | None, names: Names) -> dict[str, Any] | None:
    """The hospital's own check, all kinds first."""
    if not local:
        return None
    w, rows = names.words, []
    for kind, of in local["kinds"].items():
        recall, recall_interval = _share(of["right"], of["right"] + of["missed"])
        precision, precision_interval = _share(of["right"], of["right"] + of["wrong"])
        rows.append(
            {
                "kind": w("all_kinds") if kind == "all" else names.kind(kind),
                **{which: f"{of[which]:,}" for which in ("right", "missed", "wrong")},
                "recall": recall,
                "recall_interval": recall_interval,
                "precision": precision,
                "precision_interval": precision_interval,
            }
        )
    clean, documents = local["clean"], local["documents"]
    recall, interval = _share(clean, documents)
    return {
        "documents": documents,
        "rows": rows,
        "clean": clean,
        "unclean": documents - clean,
        "recall": recall,
        "interval": interval,
    }


def _level(record: data_use.Record) -> dict[str, str]:
    words = Words("zh", data_use.STRINGS)
    return {"data_level": data_use.level(record, words)} if "data_level" in record else {}


def _how(facts: Facts, w: Words) -> list[tuple[str, str]]:
    numbers = w("pseudonyms_yes" if facts["pseudonyms"] else "pseudonyms_no")
    rows = [
        (w("how_detectors"), ", ".join(facts["detectors"])),
        (w("how_key"), facts["key"] or w("how_no_key")),
        (w("how_visit_time"), w(f"visit_{facts['visit_time']}")),
        (w("how_pseudonyms"), numbers),
    ]
    if "dropped_columns" in facts:
        dropped = facts["dropped_columns"]
        value = w("dropped", n=len(dropped), names=", ".join(dropped)) if dropped else "0"
        rows.append((w("how_dropped"), value))
    return rows


def write_assessment(path: Path, facts: Facts, name: str = "") -> None:
    """Write the self-assessment in the manner of PIPL article 55, filled in as far as is known.

    It is a Chinese document of Chinese law, whatever the project's language; what only the
    hospital knows stands as 【待填】.
    """
    runs.write_text(path, render_assessment(facts, name))


def render_assessment(facts: Facts, name: str = "") -> str:
    """The self-assessment as Markdown."""
    names = Names("zh")
    found: Sequence[Any] = _found(facts, names)
    return shell.fill(
        "pipl_art55.zh.md.j2",
        name=name,
        facts=facts,
        found=found,
        total=f"{_total(facts):,}",
        left=sum(facts["direct_identifiers_left"].values()),
        risk=facts.get("risk"),
        audit=facts.get("audit"),
        known=_known(facts["audit"], names) if facts.get("audit") else (),
        local=_local(facts.get("local"), names),
        how=_how(facts, names.words),
        use={
            **dict.fromkeys(config.Governance.model_fields, "【待填】"),
            **facts.get("governance", {}),
            **_level(facts.get("governance", {})),
        },
        benchmark=lambda key: names.words(f"benchmark_{key}"),
        grade=lambda number: names.words(f"grade_{number}"),
        today=_today(),
    )
