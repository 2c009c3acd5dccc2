# SPDX-License-Identifier: MIT
"""Which programs a shell script calls: the words in command position, of bash and sh as this project writes them."""

import re

NAME = re.compile(r"[A-Za-z][\w.+-]*$")
ASSIGNMENT = re.compile(r"\w+(\[[^]]*\])?\+?=")
# Behind these words a command begins.
KEYWORDS = {"if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "exec", "command", "builtin"}
# Programs that run another one: how many of their words come before it, options aside.
WRAPPERS = {"env": 0, "nice": 0, "nohup": 0, "setsid": 0, "timeout": 1, "unshare": 0, "chroot": 1, "xargs": 0, "nsenter": 0,
            "setpriv": 0, "flock": 1}
# Their options that take the next word.
WITH_VALUE = {"-n", "-w", "-t", "-s", "-k", "-u", "-I", "--propagation", "--pdeathsig"}
BUILTINS = set(""". : [ [[ alias bg break case cd continue coproc declare disown do done elif else enable esac eval exit export
    false fc fg fi for function getopts hash help if in jobs let local mapfile popd printf pushd pwd read readonly return select
    set shift shopt source suspend test then times trap true type typeset ulimit umask unalias unset until wait while
    compgen echo kill""".split())
PATTERN = re.compile(r"\(?[^\s()|;&$#]+(\s*\|\s*[^\s()|;&$#]+)*\s*\)")
BODY = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n.*?^\s*\2$", re.M | re.S)


def without_bodies(script):
    """Without here-documents, whose text is not the script's."""
    return BODY.sub(lambda found: "<<EOF" + found.group(3), script)


class Scanner:
    """Walks through a script once, into substitutions too."""

    def __init__(self, script):
        self.text = without_bodies(script)
        self.at = 0
        self.commands = set()

    def commands_until(self, end):
        """Simple commands up to the closing `end`, or the script's end."""
        words, cases = [], 0
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == end and not cases:
                self.at += 1
                break
            if here == "#" and (self.at == 0 or self.text[self.at - 1] in " \t\n;("):
                self.at = (self.text + "\n").index("\n", self.at)
            elif here in " \t":
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif cases and not words and PATTERN.match(self.text, self.at):
                self.at = PATTERN.match(self.text, self.at).end()
            elif here in "<>" or re.match(r"\d[<>]", self.text[self.at:]):
                self.redirection()
            elif here in ";|&\n()":
                cases += self.case_change(words)
                self.note(words)
                words = []
                self.at += 1
            else:
                words.append(self.word())
        self.note(words)

    @staticmethod
    def case_change(words):
        """Between `case` and `esac` a bracket may end a pattern."""
        return -1 if words[:1] == ["esac"] else 1 if "case" in words[:3] and "esac" not in words else 0

    def redirection(self):
        self.at += len(re.match(r"\d*[<>&|]+", self.text[self.at:]).group())
        if self.text.startswith("(", self.at):  # a process substitution
            self.at += 1
            self.commands_until(")")
            return
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        if self.at < len(self.text) and self.text[self.at] not in "\n;|&)":
            self.word()

    def word(self):
        """The next word as it is written; what is substituted in it is looked into."""
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;|&()<>":
            self.piece()
            if self.text.startswith("=(", self.at):  # an array
                self.at += 2
                self.words_until(")")
        return self.text[begin:self.at]

    def words_until(self, end):
        while self.at < len(self.text) and self.text[self.at] != end:
            if self.text[self.at] in " \t\n":
                self.at += 1
            else:
                self.piece()
        self.at += 1

    def piece(self):
        here = self.text[self.at]
        self.at += 1
        if here == "\\":
            self.at += 1
        elif here == "'":
            self.at = self.text.index("'", self.at) + 1
        elif here == '"':
            while self.text[self.at] != '"':
                self.piece_in_quotes()
            self.at += 1
        elif here == "$":
            self.substitution()

    def piece_in_quotes(self):
        here = self.text[self.at]
        self.at += 2 if here == "\\" else 1
        if here == "$":
            self.substitution()

    def substitution(self):
        if self.text.startswith("((", self.at):
            self.at = self.text.index("))", self.at) + 2
        elif self.text.startswith("(", self.at):
            self.at += 1
            self.commands_until(")")
        elif self.text.startswith("{", self.at):
            self.at += 1
            while self.text[self.at] != "}":
                self.piece()
            self.at += 1

    def note(self, words):
        """The program of a simple command, and the one that it runs."""
        while words and (words[0] in KEYWORDS or ASSIGNMENT.match(words[0])):
            words = words[1:]
        if not words or not NAME.match(words[0]):
            return
        self.commands.add(words[0])
        skipped = WRAPPERS.get(words[0])
        if skipped is None:
            return
        rest = words[1:]
        while rest and (rest[0].startswith("-") or ASSIGNMENT.match(rest[0])):
            rest = rest[2:] if rest[0] in WITH_VALUE else rest[1:]
        self.note(rest[skipped:])


def functions_of(script):
    return set(re.findall(r"^\s*(?:function\s+)?([\w-]+)\s*\(\)", script, re.M))


def programs_of(script):
    """Names of the programs that the script calls by name; neither its functions nor what the shell does itself."""
    scanner = Scanner(script)
    scanner.commands_until("")
    return scanner.commands - BUILTINS - functions_of(script)
