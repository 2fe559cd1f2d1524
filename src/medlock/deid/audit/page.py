"""The release report as a page: one HTML file, with a table beside every plot and no scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from medlock.deid.audit import plots
from medlock.deid.audit.elements import POLICY, STYLE, interval, paragraph, percent, section, table
from medlock.deid.audit.shapes import Frame
from medlock.deid.audit.thresholds import RISKS

Json = dict[str, Any]


def page(report: Json) -> str:
    """The whole page of a report's document."""
    audit = report["audit"]
    parts = [_header(report)]
    if audit is not None:
        found, runs = audit["audit"], audit["trend"]
        parts += [_verdict(audit), _risk(found), _attacks(found), _utility(found), _trend(runs)]
    if report["leaks"]:
        parts.append(_leaks(report["leaks"]))
    parts.append(_bytes(report))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report['title'])}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _header(report: Json) -> str:
    audit = report["audit"]
    figures = [
        ("files", f"{len(report['release']):,}"),
        ("bytes", f"{sum(each['bytes'] for each in report['release']):,}"),
    ]
    if audit is not None:
        found = audit["audit"]
        figures = [
            ("records", f"{found['rows']:,}"),
            ("highest risk of a record", percent(found["risk_after"]["prosecutor"]["highest"])),
            ("before", percent(found["risk_before"]["prosecutor"]["highest"])),
            ("utility kept (granularity)", percent(found["utility"]["granularity"])),
        ]
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)
    made = paragraph(f"Made {report['at']} by {report['signer']}.", "soft")
    words = "Every threshold for this recipient is held" if audit is not None else "Residual leaks were measured"
    return (
        f"<header><h1>{escape(report['title'])}</h1>"
        f"{made}"
        f'<p><span class="verdict">{escape(words)}</span></p><dl class="figures">{cells}</dl></header>'
    )


def _verdict(audit: Json) -> str:
    findings = audit["audit"]["findings"]
    rows = [
        (
            each["name"],
            RISKS.get(each["name"], ""),
            percent(each["risk"]),
            percent(each["threshold"]),
            "exceeded" if each["exceeded"] else "held",
        )
        for each in findings
    ]
    bad = [at for at, each in enumerate(findings) if each["exceeded"]]
    return section(
        "verdict",
        f"Thresholds for {audit['recipient']}",
        table(
            "Each risk against what this recipient may have.",
            ("risk", "What it is", "found", "threshold", "Verdict"),
            rows,
            bad,
        ),
    )


def _risk(found: Json) -> str:
    was, now = found["risk_before"], found["risk_after"]
    rows = [
        (f"{who}, {part.replace('_', ' ')}", percent(was[who][part]), percent(now[who][part]))
        for who in ("prosecutor", "journalist")
        for part in ("highest", "average", "records_at_risk")
    ]
    rows.append(("marketer", percent(was["marketer"]), percent(now["marketer"])))
    rows.append(("records alone in their class", percent(was["sample_uniques"]), percent(now["sample_uniques"])))
    for name in now["population_uniques"]:
        before, after = (each["population_uniques"].get(name) for each in (was, now))
        rows.append((f"unique in the population ({name})", percent(before), percent(after)))
    return section(
        "risk",
        "Risk before and after",
        table(
            "Risk that a record is recognised, if the original had been released and for the release.",
            ("risk", "before", "after"),
            rows,
        ),
        _bars_and_table("by-risk", "Records by risk", plots.by_risk(found), "risk of a record, up to"),
        _bars_and_table(
            "by-size", "Records by the size of their class", plots.by_size(found), "records that look alike"
        ),
    )


def _bars_and_table(key: str, title: str, bins: plots.Bins, axis: str) -> str:
    says = "; ".join(f"{label}: {before} before, {after} after" for label, before, after in bins)
    rows = [(label, f"{before:,}", f"{after:,}") for label, before, after in bins]
    drawn = plots.bars(Frame(key, title, says, 260), bins, axis)
    return f"<h3>{escape(title)}</h3>{drawn}{table(title, (axis, 'before', 'after'), rows)}"


def _attacks(found: Json) -> str:
    limits = {each["name"]: each["threshold"] for each in found["findings"]}
    drawn = [(_name(each), each["risk"], limits.get(each["kind"])) for each in found["attacks"]]
    rows = [
        (
            _name(each),
            _tried(each["attack"]),
            _tried(each["control"]),
            _tried(each["baseline"]),
            percent(each["risk"]["value"]),
            interval(each["risk"]),
        )
        for each in found["attacks"]
    ]
    says = "; ".join(f"{name}: {percent(risk['value'])}" for name, risk, _ in drawn)
    frame = Frame("attacks-plot", "Risk of each attack with its interval", says, 44 + 24 * len(drawn))
    weak = [_name(each) for each in found["attacks"] if each["weak"]]
    return section(
        "attacks",
        "Attacks",
        paragraph(
            "Each attack was run on people of the original and on people outside it (control). The risk is what the "
            "release gave away beyond what is true of strangers, with a 95 % interval; the dashes are thresholds."
        ),
        plots.intervals(frame, drawn),
        table(
            "Attacks after Giomi et al. 2023.",
            ("attack", "succeeded", "control", "guessing", "risk", "95 % interval"),
            rows,
        ),
        paragraph(f"Guessing did as well as: {', '.join(weak)}.", "soft") if weak else "",
        _linkage(found["linkage"]),
    )


def _name(attack: Json) -> str:
    return f"{attack['kind']}: {attack['detail']}"


def _tried(rate: Json | None) -> str:
    return "-" if rate is None else f"{rate['successes']:,} of {rate['attempts']:,}"


def _linkage(linkage: Json | None) -> str:
    if linkage is None:
        return ""
    rows = [
        ("people in the register", f"{linkage['people']:,}"),
        ("highest chance of a right link", percent(linkage["highest"])),
        ("mean chance of a right link", percent(linkage["average"])),
        ("records with one possible person", percent(linkage["linked"])),
        (
            "of all records, linked to the right person",
            "not checked" if linkage["right"] is None else percent(linkage["right"]),
        ),
    ]
    return "<h3>Linkage with a register</h3>" + table(f"By {', '.join(linkage['shared'])}.", ("measure", "found"), rows)


def _utility(found: Json) -> str:
    kept = found["utility"]
    rows = [(name, _level(found, name), percent(value)) for name, value in kept["fidelity"].items()]
    mean = found["risk_after"]["prosecutor"]["average"]
    says = (
        f"Granularity {kept['granularity']:.4f} at a mean risk of {percent(mean)}; "
        f"{len(found['nodes'])} other generalisations of the original for comparison."
    )
    ladder = Frame(
        "lattice-plot",
        "Position in the lattice",
        "The levels are listed in the table below.",
        12 + 30 * len(found["heights"]),
    )
    return section(
        "utility",
        "Utility",
        paragraph(says),
        plots.against(Frame("against-plot", "Utility against risk", says, 340), found),
        table(
            "Other generalisations, a selection.", ("levels", "granularity", "mean risk", "highest risk"), _nodes(found)
        ),
        "<h3>Position in the lattice</h3>" + plots.lattice(ladder, found) if found["heights"] else "",
        table(
            "Level of each attribute, 0 is the original value; fidelity is one less the total variation distance.",
            ("attribute", "level", "fidelity"),
            rows,
        ),
        paragraph(f"Rows shown: {percent(kept['shown'])}; mean class size {kept['class_size']:.1f}.", "soft"),
    )


def _level(found: Json, name: str) -> str:
    if name not in found["levels"]:
        return "as it was"
    level = found["levels"][name]
    return "several" if level is None else f"{level} of {found['heights'][name]}"


def _nodes(found: Json) -> Iterator[Sequence[str]]:
    nodes = found["nodes"]
    for node in nodes[:: max(1, len(nodes) // 8)]:
        levels = "/".join(map(str, node["levels"]))
        yield levels, f"{node['granularity']:.4f}", percent(node["average"]), percent(node["highest"])


def _trend(runs: Sequence[Json]) -> str:
    if len(runs) < 2:
        return ""
    rows = [
        (
            run["at"],
            run["recipient"],
            *(percent(run["risks"].get(name)) for name in ("prosecutor", "inference")),
            "blocked" if run["blocked"] else "released",
        )
        for run in runs
    ]
    frame = Frame(
        "trend-plot", "Highest risk of a record over the audits", f"{len(runs)} audits, listed in the table below.", 200
    )
    return section(
        "trend",
        "Trend",
        plots.trend(frame, runs, "prosecutor"),
        table(
            "Audits so far; a red diamond is a blocked one.",
            ("when", "Recipient", "prosecutor", "inference", "Outcome"),
            rows,
        ),
    )


def _leaks(leaks: Sequence[Json]) -> str:
    rows = [
        (each["what"], each["on"], _count(each), percent(each["share"]["value"]), interval(each["share"]))
        for each in leaks
    ]
    return section(
        "leaks",
        "Residual leaks",
        paragraph(
            "What a check of released texts still found. The interval is exact (Clopper-Pearson, 95 %), and holds for "
            "what the sample was drawn from at random."
        ),
        table("Leaks found, by what was looked for.", ("looked for", "On", "leaked", "share", "95 % interval"), rows),
    )


def _count(leak: Json) -> str:
    return f"{leak['leaked']:,} of {leak['checked']:,}"


def _bytes(report: Json) -> str:
    rows = [(each["name"], f"{each['bytes']:,}", each["sha256"]) for each in report["release"]]
    configuration = [(each["what"], each["sha256"]) for each in report["configuration"]]
    return section(
        "bytes",
        "What is sealed",
        paragraph(
            "The file report.note beside this page is signed and holds the SHA-256 of this page, of report.json and of "
            "every file of the release. Anybody can check it without a network, with the signer's key from somewhere "
            "they trust:"
        ),
        "<p><code>medlock deid report RELEASE --verify report.note --signed-by KEY</code></p>",
        table("Configuration.", ("part", "SHA-256"), configuration) if configuration else "",
        table("Files of the release.", ("file", "bytes", "SHA-256"), rows),
    )
