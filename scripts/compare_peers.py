#!/usr/bin/env python3
"""Prints a Markdown table that sets weft's times beside those of other libraries.

Usage: compare_peers.py FILE...
Files are JSON lists of rows: those of `weft bench --json` (name, us, first_s, floor_us, ...) and those of other libraries
(workload, peer, us, first_s), told apart by their keys. Of rows that appear twice the last counts. Rows come in weft's
order; workloads that weft has no row for come last.
"""
import json
import sys


def load(paths):
    weft, peers = {}, {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for row in json.load(file):
                if "workload" in row:
                    peers.setdefault(row["workload"], {})[row["peer"]] = row
                else:
                    weft[row["name"]] = row
    return weft, peers


def time(us):
    """Three digits and a unit."""
    for limit, scale, unit in ((1e3, 1, "us"), (1e6, 1e3, "ms"), (float("inf"), 1e6, "s")):
        if us < limit:
            value = us / scale
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def first(row):
    return time(row["first_s"] * 1e6) if row and row.get("first_s") is not None else ""


def line(name, ours, peers):
    best = min(peers.values(), key=lambda row: row["us"]) if peers else None
    floor = ours["floor_us"] if ours else 0
    return [
        name,
        time(ours["us"]) if ours else "",
        f"{time(best['us'])} {best['peer']}" if best else "",
        f"{best['us'] / ours['us']:.2f}" if best and ours else "",
        time(floor) if floor else "",
        f"{100 * floor / ours['us']:.0f} %" if floor else "",
        first(ours),
        first(best),
    ]


def main(paths):
    if not paths:
        sys.exit(__doc__.strip())
    weft, peers = load(paths)
    rows = [["workload", "weft", "best peer", "peer / weft", "floor", "floor / weft", "first call", "peer's first"]]
    rows.append(["---"] + ["---:"] * (len(rows[0]) - 1))
    for name in [*weft, *(n for n in peers if n not in weft)]:
        rows.append(line(name, weft.get(name), peers.get(name, {})))
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
