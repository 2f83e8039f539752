# SPDX-License-Identifier: MIT
"""The picture of a terminal. What may go wrong: half a frame is drawn, a column moves, a byte that a service has chosen is taken
for markup, the same frame is another picture, or the one that is shown in the documentation is none."""
import pathlib
import sys
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import terminal_svg  # noqa: E402 pylint: disable=wrong-import-position

OUTPUT = ("\x1b[?1049h\x1b[?25l\x1b[Hold\x1b[K\x1b[J"
          "\x1b[H\x1b[1mname <&>\x1b[0m\x1b[K\r\n\x1b[7mshard  busy\x1b[0m\x1b[K\r\n0      61 %\x1b[K\r\n\x1b[31mbad\x1b[0m\x1b[K\r\n"
          "\x1b[K\r\n\x1b[K\r\n\x1b[2mq quit\x1b[0m\x1b[K\x1b[J\x1b[Hhalf of one")
SVG = "{http://www.w3.org/2000/svg}"


class Pictures(unittest.TestCase):
    def test_the_last_whole_frame_is_read(self):
        lines = terminal_svg.last_frame(OUTPUT)
        self.assertEqual(lines[:3], [[("name <&>", "1")], [("shard  busy", "7")], [("0      61 %", "")]])
        self.assertEqual((lines[3], lines[-1], len(lines)), ([("bad", "31")], [("q quit", "2")], 7))
        self.assertEqual(terminal_svg.last_frame("\x1b[Hhalf"), [])

    def test_it_is_drawn_in_its_columns(self):
        text = terminal_svg.picture(terminal_svg.last_frame(OUTPUT), "a < b")
        root = xml.etree.ElementTree.fromstring(text)
        drawn = [(node.text.replace("\N{NO-BREAK SPACE}", " "), node.get("textLength")) for node in root.iter(SVG + "text")]
        self.assertEqual(drawn, [("name <&>", "67.2"), ("shard  busy", "92.4"), ("0      61 %", "92.4"), ("bad", "25.2"),
                                 ("q quit", "50.4")])
        self.assertEqual([node.get("width") for node in root.iter(SVG + "rect")], ["100%", "92.4"])
        self.assertEqual(root.find(SVG + "title").text, "a < b")
        self.assertEqual(text, terminal_svg.picture(terminal_svg.last_frame(OUTPUT), "a < b"))

    def test_the_one_that_is_shown_is_one(self):
        path = ROOT / "docs" / "images" / "top.svg"
        text = path.read_text(encoding="utf-8")
        drawn = [node.text for node in xml.etree.ElementTree.fromstring(text).iter(SVG + "text")]
        self.assertLess(len(text), 16384)
        self.assertTrue(any("cmd/turn" in line for line in drawn) and any("quit" in line for line in drawn), drawn)
        for name in ("README.md", "docs/telemetry.md"):
            self.assertIn("images/top.svg", (ROOT / name).read_text(encoding="utf-8"), name)


if __name__ == "__main__":
    unittest.main()
