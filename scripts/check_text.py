# SPDX-License-Identifier: MIT
"""C and Python as lines: functions and their length, and comments that broke a statement."""
import ast
import re

COLUMNS = 100


def c_functions(lines):
    """(name, first line, count of lines) of each function: in our layout its braces alone stand at
    the margin. The lines of its head count."""
    start = None
    for index, line in enumerate(lines):
        if line == "{" and not re.match(r"(class|struct|namespace)\b", lines[index - 1]):
            start = index
            while start > 0 and re.match(r"[\w\s*]", lines[start - 1]) and lines[start - 1].strip():
                start -= 1
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[start : start + 6])
            match = re.search(r"(\w+)\s*\(", head)
            yield (match[1] if match else "?"), start + 1, index - start + 1
            start = None


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def is_python(name, text):
    return name.endswith(".py") or re.match(r"#!.*\bpython", text) is not None


def code_lines(lines):
    """(code, has a // comment) of each line. Texts are x as long as they were; macros end at once."""
    def blank(match):
        return match[0][0] + "x" * (len(match[0]) - 2) + match[0][-1]

    in_comment = in_macro = False
    for line in lines:
        line = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'', blank, line)
        line = re.sub(r"/\*.*?\*/", "", line)
        if in_comment:
            if "*/" not in line:
                yield "", False
                continue
            line, in_comment = line.split("*/", 1)[1], False
        if "/*" in line:
            line, in_comment = line.split("/*", 1)[0], True
        was_macro, in_macro = in_macro, line.rstrip().endswith("\\")
        if was_macro or in_macro or line.lstrip().startswith("#"):
            yield ";", False
        else:
            code, slashes, _ = line.partition("//")
            yield code.rstrip(), bool(slashes)


def is_broken(statement):
    """Would these lines be one, if it were not for the comment behind them?"""
    joined = statement[0]
    for line in statement[1:]:
        if joined.endswith('"') and line.lstrip().startswith('"'):
            return False  # Texts side by side stay where they were put.
        joined += ("" if joined.endswith("(") else " ") + line.strip()
    return len(joined) <= COLUMNS


def broken_statements(lines):
    """Numbers of lines with a // comment that stands inside a statement, alone, or behind a statement
    that a formatter broke into lines only because of the comment."""
    statement, depth = [], 0
    for number, (code, has_comment) in enumerate(code_lines(lines), 1):
        text = code.strip()
        if not text:
            if has_comment and statement:
                yield number
            continue
        statement.append(code)
        depth = max(0, depth + text.count("(") - text.count(")"))
        ends = text[-1] in ";{}" or (depth == 0 and text[-1] in ",:")
        if ends:
            if has_comment and len(statement) > 1 and is_broken(statement):
                yield number
            statement, depth = [], 0
