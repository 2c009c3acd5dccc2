# SPDX-License-Identifier: MIT
"""The plots of results.json: curves on logarithmic axes, and ratios against their bars; SVG without any library."""

import html
import math

COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#57606a", "#0a7ea4", "#953800")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 70, 150, 40, 50


def svg(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="{width}" height="{height}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def text(x, y, words, anchor="start", **more):
    extra = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{html.escape(str(words))}</text>'


def decades(low, high):
    return [10.0 ** k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def curves(title, x_words, series):
    """`series`: name -> [(count, milliseconds)]."""
    xs, ys = ([value for points in series.values() for value in (point[i] for point in points)] for i in (0, 1))
    x_marks, y_marks = decades(min(xs), max(xs)), decades(min(ys), max(ys))

    def place(value, marks, start, end):
        low, high = math.log10(marks[0]), math.log10(marks[-1])
        return start + (math.log10(value) - low) / (high - low or 1) * (end - start)

    def at(x, y):
        return place(x, x_marks, LEFT, WIDTH - RIGHT), place(y, y_marks, HEIGHT - BOTTOM, TOP)
    parts = [text(LEFT, 22, title, font_size="15")]
    for mark in x_marks:
        x, _ = at(mark, y_marks[0])
        parts += [f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>', text(x, HEIGHT - BOTTOM + 18, f"{mark:g}", "middle")]
    for mark in y_marks:
        _, y = at(x_marks[0], mark)
        parts += [f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>', text(LEFT - 8, y + 4, f"{mark:g} ms", "end")]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_words, "middle"))
    for number, (name, points) in enumerate(sorted(series.items(), key=lambda item: -item[1][-1][1])):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (at(*point) for point in points)]
        parts.append(text(WIDTH - RIGHT + 12, TOP + 16 * (number + 1), name, fill=colour))
    return svg(WIDTH, HEIGHT, parts)


def ratios(rows):
    """A bar for each ratio that has a limit, as long as the part of the limit that it uses."""
    step, scale, left = 30, 320, 330
    parts = [text(10, 22, "Ratios against their limits (the grey line)", font_size="15")]
    for number, row in enumerate(rows):
        y, ratio = 40 + number * step, row["ratio"][row["clock"]][0]
        length = min(ratio / row["bar"], 1.5) * scale / 1.5
        parts += [text(left - 8, y + 14, f"{row['name']} / {row['against']}", "end", font_size="10"),
                  f'<rect x="{left}" y="{y}" width="{length:.1f}" height="20" fill="{"#1a7f37" if row["kept"] else "#d1242f"}"/>',
                  text(left + length + 6, y + 14, f"{ratio:.3g} of {row['bar']:.3g} ({row['clock']})")]
    x, height = left + scale / 1.5, 50 + len(rows) * step
    parts.append(f'<path d="M{x:.1f} 34V{height - 14}" stroke="#888"/>')
    return svg(left + scale + 170, height, parts)


def draw(results, folder):
    for part, words in (("domains", "domains on the host"), ("records", "records in the VM database")):
        if part not in results:
            continue
        series = {verb: [(p["n"], p["wall_ms"]) for p in points] for verb, points in results[part]["curves"].items()}
        (folder / f"{part}.svg").write_text(curves(f"Whole process, median, by {words}", words, series))
    rows = [row for part in results.values() for row in part.get("pairs", []) if row["bar"] is not None]
    if rows:
        (folder / "ratios.svg").write_text(ratios(rows))
