# SPDX-License-Identifier: MIT
"""What a program has drawn on a terminal, as a picture: the last whole frame of `cmdstream top` as SVG. The same frame is the
same picture, to the last byte."""
import re
from xml.sax.saxutils import escape

FRAME = re.compile(r"\x1b\[H(.*?)\x1b\[J", re.S)
SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])")
WIDTH, HEIGHT, MARGIN = 8.4, 18, 12  # Of a character; around all of them.
BLANK = "\N{NO-BREAK SPACE}"  # Any other is one, however many there are.
PAPER, INK = "#0d1117", "#c9d1d9"
# By the attribute that the program has set: the ink, and whether it is bold. "7" is drawn the other way round.
INKS = {"": (INK, False), "0": (INK, False), "1": ("#f0f6fc", True), "2": ("#8b949e", False), "7": (PAPER, False),
        "31": ("#ff7b72", False)}


def last_frame(output):
    """The lines of the last frame that is whole; each a list of (text, attribute). Empty: there is none."""
    frames = FRAME.findall(output)
    return [_runs(line) for line in frames[-1].replace("\r", "").split("\n")] if frames else []


def _runs(line):
    runs, attribute, at = [], "", 0
    for found in SEQUENCE.finditer(line):
        runs.append((line[at:found.start()], attribute))
        attribute = found[1] if found[2] == "m" else attribute  # Of all others none writes a character.
        at = found.end()
    runs.append((line[at:], attribute))
    return [(text, attribute) for text, attribute in runs if text]


def _number(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _draw(text, attribute, column, row):
    x, y, width = MARGIN + column * WIDTH, MARGIN + row * HEIGHT, len(text) * WIDTH
    ink, is_bold = INKS.get(attribute, INKS[""])
    if attribute == "7":
        yield f'<rect x="{_number(x)}" y="{y}" width="{_number(width)}" height="{HEIGHT}" fill="{INK}"/>'
    if text.strip():
        bold = ' font-weight="bold"' if is_bold else ""
        yield (f'<text x="{_number(x)}" y="{y + 13}" textLength="{_number(width)}" fill="{ink}"{bold}>'
               f"{escape(text.replace(' ', BLANK))}</text>")


def picture(lines, title):
    """SVG of lines as last_frame() gives them; those at the end that are blank but for the last are left out."""
    while len(lines) > 2 and not any(text.strip() for text, _ in lines[-2]):
        lines = lines[:-2] + lines[-1:]
    columns = max(sum(len(text) for text, _ in line) for line in lines)
    width, height = 2 * MARGIN + columns * WIDTH, 2 * MARGIN + len(lines) * HEIGHT
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(width)} {height}" width="{_number(width)}"'
             f' height="{height}" role="img" font-family="monospace" font-size="14">',
             f"<title>{escape(title)}</title>", f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>']
    for row, line in enumerate(lines):
        column = 0
        for text, attribute in line:
            shown = text if attribute == "7" else text.rstrip()
            parts += _draw(shown, attribute, column, row)
            column += len(text)
    return "\n".join(parts + ["</svg>", ""])
