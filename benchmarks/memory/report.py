"""Results of memory, journal, `Z5::` and privacy as Markdown."""

from typing import Any

from benchmarks.readme import against, table


def markdown(results: dict[str, Any], data: str | None = None) -> str:
    """The whole section.

    Args:
        data: Link to the JSON file.
    """
    told = [f"Run of {results['started'][:10]}, {results['machine']}."]
    if data:
        told += [f"[All figures]({data})."]
    for name, (title, section) in _SECTIONS.items():
        if name in results:
            told += [f"### {title}", section(results[name])]
    return "\n\n".join(told)


def _journal(found: dict[str, Any]) -> str:
    single, last = found["append_single"], found["proofs"][-1]
    rows = [
        [
            f"appends, batches of {found['append']['batch']:,}, each on disk",
            f"{found['append']['per_s']:,.0f}/s",
            against(found["append"]["per_s"] >= 50_000, "≥ 50,000/s"),
        ],
        ["appends one by one, on disk", f"{single['durable_per_s']:,.0f}/s", ""],
        ["appends one by one, not waited for", f"{single['not_durable_per_s']:,.0f}/s", ""],
        [
            f"verifying {last['entries']:,} entries from the file",
            f"{found['verify_s']:.1f} s",
            against(found["verify_s"] < 10, "< 10 s"),
        ],
        ["opening them", f"{found['open_s']:.1f} s", ""],
        ["bytes of the file for an entry", f"{found['bytes_per_entry']:.0f}", ""],
    ]
    for proof in found["proofs"]:
        rows.append(
            [
                f"inclusion proof among {proof['entries']:,}: made, checked",
                f"{proof['inclusion_us']:.0f} µs, {proof['check_us']:.0f} µs",
                f"{proof['hashes']} hashes",
            ]
        )
    return table(["what", "measured", "target"], rows)


def _z5(found: dict[str, Any]) -> str:
    told = [f"Records: {found['data']}. Ratio: plain bytes to bytes of text (binaries counted as base64)."]
    for group, measured in found["groups"].items():
        rows = [
            [
                name,
                f"{each['ratio_as_text']:.3f}",
                f"{each['encode_mb_s']:.1f}",
                f"{each['decode_mb_s']:.1f}",
            ]
            for name, each in measured["contenders"].items()
        ]
        told += [f"{group} ({measured['records']:,}):"]
        told += [table(["codec", "ratio", "encode, MB/s", "decode, MB/s"], rows)]
    rows = [
        [
            f"{each['from']}–{each['to']}" if each["to"] else f"from {each['from']}",
            f"{each['records']:,}",
            f"{each['smaller']:.0%}",
        ]
        for each in found["by_length"]
        if each["records"]
    ]
    told += ["Frames with the dictionary that are shorter than the plain text:"]
    return "\n\n".join([*told, table(["bytes", "records", "shorter"], rows)])


def _pii(found: dict[str, Any]) -> str:
    rows = [
        [kind, f"{each['labels']:,}", f"{each['recall']:.4f}", f"{each['precision']:.4f}"]
        for kind, each in found["quality"].items()
    ]
    speeds = ", ".join(f"{name} {speed / 1e6:.1f} MB/s" for name, speed in found["bytes_per_s"].items())
    peer = found["peer"]
    beside = "presidio-analyzer is not installed (`benchmarks/memory/peers.sh`)."
    if peer:
        ours, theirs = peer["ours_bytes_per_s"] / 1e3, peer["bytes_per_s"] / 1e3
        beside = (
            f"presidio-analyzer, same entity types and texts, same run: {ours:,.0f} kB/s against"
            f" {theirs:,.0f} kB/s, {peer['ratio']:.1f} times as fast"
            f" ({against(peer['ratio'] >= 20, 'target ≥ 20')})."
        )
    worst = found["worst_validated"]
    told = (
        f"{found['documents']:,} made-up texts in French and English. Worst recall or precision of a"
        f" validated kind: {worst:.4f} ({against(worst >= 0.99, 'target ≥ 0.99')})."
    )
    kinds = table(["kind", "labels", "recall", "precision"], rows)
    return "\n\n".join([told, kinds, f"One document of a megabyte: {speeds}.", beside])


def _store(found: dict[str, Any]) -> str:
    ingest, search, size = found["ingest"], found["search"], found["bytes_per_record"]
    rows = [
        ["durable ingest, records/s", f"{ingest['shard']:,.0f}", ""],
        ["the same and all words indexed, records/s", f"{ingest['indexed']:,.0f}", ""],
        ["bare log, records/s", f"{ingest['wal']:,.0f}", ""],
        ["SQLite, records/s", f"{ingest['sqlite']:,.0f}", ""],
        ["ingest ÷ SQLite", f"{ingest['of_sqlite']:.2f}", against(ingest["of_sqlite"] >= 0.5, "≥ 0.5")],
        ["dense search p50, ms", f"{search['dense_ms']:.2f}", ""],
        ["hybrid search p50, ms", f"{search['hybrid_ms']:.2f}", ""],
        ["bare FAISS p50, ms", f"{search['faiss_ms']:.2f}", ""],
        ["dense ÷ bare FAISS", f"{search['of_faiss']:.2f}", against(search["of_faiss"] <= 1.5, "≤ 1.5")],
        ["recall@10 of dense search", f"{search['recall']:.3f}", against(search["recall"] == 1.0, "1.0")],
        ["bytes of memory for a record, by our own count", f"{size['memory']:,.0f}", ""],
    ]
    told = f"{found['records']:,} records of {found['dimension']} numbers on one shard."
    return told + "\n\n" + table(["what", "measured", "target"], rows)


def _rest(found: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{found[f'{key}_bytes']:.0f}",
            f"{found[f'{key}_us']:.1f}",
            f"{found[f'read_{key}_us']:.1f}",
        ]
        for name, key in (("plain text", "plain"), ("`Z5::` where it is shorter", "framed"))
    ]
    told = (
        f"{found['records']:,} records without vectors, texts of {found['text_bytes']:.0f} bytes;"
        f" {found['framed']:.0%} have a frame. A compaction takes {found['compact_us']:.0f} µs a record,"
        f" opening the shard after it {found['open_us']:.0f} µs."
    )
    return told + "\n\n" + table(["a record in a snapshot", "bytes", "made, µs", "read, µs"], rows)


def _million(found: dict[str, Any]) -> str:
    rows = []
    for name in ("clustered", "random"):
        each = found[name]
        for what, asked in (("", each["all"]), (", one subject in 100", each["one_subject"])):
            enough = against(asked["recall"] >= 0.95, "≥ 0.95")
            quick = against(asked["p50_ms"] < 10, "< 10 ms")
            rows.append([f"{name}{what}: recall@10", f"{asked['recall']:.3f}", enough])
            speeds = f"{asked['p50_ms']:.1f} ms, {asked['p99_ms']:.1f} ms"
            rows.append([f"{name}{what}: p50, p99", speeds, quick])
        rows += [
            [f"{name}: bare flat FAISS p50", f"{each['bare_ms']:.1f} ms", ""],
            [f"{name}: a write, a record; slowest of {found['batch']:,}", _write(each), ""],
            [f"{name}: bytes of memory for a record", f"{each['bytes_per_record']:,.0f}", ""],
        ]
    told = (
        f"{found['records']:,} records of {found['dimension']} numbers on one shard, one question at a"
        " time; what the vectors are: [million.py](memory/million.py)."
    )
    return told + "\n\n" + table(["what", "measured", "target"], rows)


def _write(each: dict[str, float]) -> str:
    return f"{each['write_us']:.0f} µs; {each['slowest_write_s'] * 1000:,.0f} ms"


def _shards(found: dict[str, Any]) -> str:
    p50, p99 = found["p50_ms"], found["p99_ms"]
    rows = [
        [
            "recall@10 of one flat index over all",
            f"{found['recall']:.3f}",
            against(found["recall"] == 1, "1.0"),
        ],
        ["dense search p50, p99, ms", f"{p50['sharded']:.1f}, {p99['sharded']:.1f}", ""],
        ["bare FAISS p50, p99, ms", f"{p50['faiss']:.1f}, {p99['faiss']:.1f}", ""],
        ["dense ÷ bare FAISS", f"{found['of_faiss']:.2f}", against(found["of_faiss"] <= 1.5, "≤ 1.5")],
        ["hybrid search p50, p99, ms", f"{p50['hybrid']:.1f}, {p99['hybrid']:.1f}", ""],
        ["durable ingest, records/s", f"{found['ingest']:,.0f}", ""],
    ]
    told = (
        f"{sum(found['shards']):,} records of {found['dimension']} numbers on {len(found['shards'])}"
        " shards, each a Ray actor; asked by a client of the cluster, on all cores."
    )
    return told + "\n\n" + table(["what", "measured", "target"], rows)


def _kills(found: dict[str, Any]) -> str:
    acts = {kind: count for kind, count in found["acknowledged"].items() if kind != "all"}
    rows = [
        ["kills, of them in the middle of an operation", f"{found['kills']}, {found['within']}", ""],
        [
            f"acknowledged operations ({', '.join(f'{kind} {count:,}' for kind, count in acts.items())})",
            f"{found['acknowledged']['all']:,}",
            "",
        ],
        ["acknowledged records that were lost", f"{found['lost']}", against(not found["lost"], "0")],
        ["records and operations there by half", f"{found['half']}", against(not found["half"], "0")],
        [
            "forgotten records that came back",
            f"{found['resurrected']}",
            against(not found["resurrected"], "0"),
        ],
        [
            f"opening it again ({found['records']:,} records at the end), ms",
            f"{found['reopen_ms']:.0f}",
            "",
        ],
    ]
    return table(["what", "measured", "target"], rows)


_SECTIONS = {
    "journal": ("Journal", _journal),
    "z5": ("`Z5::`", _z5),
    "rest": ("`Z5::` in snapshots", _rest),
    "pii": ("Personal data", _pii),
    "store": ("One shard of memory", _store),
    "shards": ("Two shards on Ray", _shards),
    "million": ("A million records", _million),
    "kills": ("A shard that is killed", _kills),
}
