#!/usr/bin/env python3
"""Random messages against an independent library, in both directions and damaged.

The other side is pyiso8583 4.0.1 (pip install pyiso8583==4.0.1). Its specifications are built from
a JSON file of dialect tables, {"dialects": {NAME: {"mti", "bitmap", "header", "cp", "fields"}}},
each field in a compact notation:

    fix:<enc>:<n>[:pad], var:<enc>:<digits><lenenc>:<max>[:nib][:pad], xn:<enc>:<n>
    enc asc ebc bcd bin hexasc hexebc; lenenc asc ebc bcd bin; pad L0 R0 LF RF

    cargo build --release
    python3 tests/golden/differential.py target/release/authswitch TABLES.json --messages 2000

For each dialect, pyiso8583 writes random messages; `authswitch decode` must read the same values,
and `authswitch encode` write the same bytes. Then messages are damaged: where one side accepts
and the other does not, the difference must be one that is explained below. Exit code 1 if not.

What it is not: a proof that either side reads a partner's text right, only that two programs that
share no code read it alike.
"""

import argparse
import collections
import json
import random
import re
import subprocess
import sys

import iso8583

PRINTABLE = "".join(chr(c) for c in range(0x20, 0x7F))

# Elements that are masked: a value of nothing but `*` is refused by `encode`.
SECRET = {2, 34, 35, 36, 45, 52, 55, 59}


class Element:
    """One data element: its pyiso8583 specification, and how to fill and show it."""

    def __init__(self, number, notation, table):
        self.number = number
        parts = notation.split(":")
        self.kind, self.enc = parts[0], parts[1]
        pad = [p for p in parts if len(p) == 2 and p[0] in "LR" and p[1] in "0F"]
        self.pad = pad[0] if pad else "L0"
        text = table.get("cp", "cp500") if self.enc in ("ebc", "hexebc") else "latin-1"
        if table["name"].startswith("cup-pos") and self.enc == "asc":
            text = "gbk"
        self.text = text
        spec = {"data_enc": text, "len_enc": "ascii", "len_type": 0, "desc": ""}
        if self.enc in ("bcd", "bin"):
            spec["data_enc"] = "b"
        if self.kind == "var":
            digits, lenenc = int(parts[2][0]), parts[2][1:]
            self.max = int(parts[3])
            spec["len_type"] = (digits + 1) // 2 if lenenc == "bcd" else digits
            spec["len_enc"] = {"asc": "ascii", "ebc": table.get("cp", "cp500"), "bcd": "bcd",
                               "bin": "b"}[lenenc]
            most = {"bin": 256 ** digits - 1}.get(lenenc, 10 ** digits - 1)
            self.max = min(self.max, most)
        else:
            self.max = int(parts[2])
        spec["max_len"] = self.max
        # The other library counts hexadecimal characters, we count the bytes they stand for.
        if self.enc.startswith("hex"):
            spec["max_len"] = self.max * 2
        if self.enc == "bcd" and self.kind != "xn":
            spec["len_count"] = "nibbles"
            spec["left_pad" if self.pad[0] == "L" else "right_pad"] = self.pad[1]
        self.signed_bcd = self.kind == "xn" and self.enc == "bcd"
        if self.signed_bcd:
            spec["max_len"] = 1 + (self.max - 1 + 1) // 2
        self.spec = spec

    def value(self, rng):
        """A random value in our notation."""
        size = self.max
        if self.kind == "var":
            size = rng.choice([0, 1, self.max, rng.randint(0, self.max), rng.randint(0, self.max)])
            size = min(size, rng.choice([20, 60, self.max]), 999)
        if self.kind == "xn":
            return rng.choice("CD") + digits(rng, size - 1)
        if self.enc == "bcd":
            value = digits(rng, size)
            if self.number == 35 and size > 4:
                place = rng.randrange(size)
                value = value[:place] + "=" + value[place + 1:]
            return value
        if self.enc in ("bin", "hexasc", "hexebc"):
            if self.number == 55:
                return emv(rng, size)
            return bytes(rng.randrange(256) for _ in range(size)).hex().upper()
        if self.text == "gbk" and rng.random() < 0.5:
            # Two bytes each, so half as many.
            pairs = "".join(chinese(rng) for _ in range(size // 2))
            return pairs + "x" * (size - 2 * (size // 2))
        if self.enc == "ebc" and rng.random() < 0.3:
            text = bytes(rng.randrange(256) for _ in range(size)).decode(self.text)
            return text.replace("*", "+") if self.number in SECRET else text
        text = "".join(rng.choice(PRINTABLE) for _ in range(size))
        return text.replace("*", "+") if self.number in SECRET else text

    def theirs(self, value):
        """Our notation in that of pyiso8583."""
        if self.signed_bcd:
            number = value[1:]
            return value[0].encode().hex() + ("0" + number if len(number) % 2 else number)
        if self.number == 35 and self.enc == "bcd":
            return value.replace("=", "D")
        return value

    def ours(self, value):
        """The notation of pyiso8583 in ours."""
        if self.signed_bcd:
            number = value[2:]
            return bytes.fromhex(value[:2]).decode("latin-1") + number[-(self.max - 1):]
        if self.number in (35, 36) and self.enc == "bcd":
            return value.replace("D", "=")
        if self.enc.startswith("hex"):
            return value.upper()
        return value


def digits(rng, count):
    return "".join(rng.choice("0123456789") for _ in range(count))


def chinese(rng):
    while True:
        pair = bytes([rng.randint(0xB0, 0xF7), rng.randint(0xA1, 0xFE)])
        try:
            return pair.decode("gb2312")
        except UnicodeDecodeError:
            continue


def emv(rng, size):
    """BER-TLV of at most `size` bytes, no tag twice."""
    out = b""
    for tag in rng.sample(["82", "95", "9A", "9C", "9F02", "9F10", "9F1A", "9F33", "5F2A"], 9):
        body = bytes(rng.randrange(256) for _ in range(rng.randint(0, 12)))
        item = bytes.fromhex(tag) + bytes([len(body)]) + body
        if len(out) + len(item) <= size:
            out += item
    return out.hex().upper()


class Dialect:
    """A dialect table as a pyiso8583 specification."""

    def __init__(self, name, table):
        table = dict(table, name=name)
        self.name, self.header = name, table.get("header", 0)
        self.always_128 = table["bitmap"] == "hexasc128"
        code_page = table.get("cp", "cp500")
        text = {"asc": "ascii", "ebc": code_page, "bcd": "b"}[table["mti"]]
        bitmap = "b" if table["bitmap"] == "bin" else "ascii"
        fixed = {"len_enc": "ascii", "len_type": 0, "desc": ""}
        self.elements = {}
        for key, notation in table["fields"].items():
            if notation != "bitmap3" and int(key) <= 128:
                self.elements[int(key)] = Element(int(key), notation, table)
        self.spec = {str(n): e.spec for n, e in self.elements.items()}
        self.spec["h"] = dict(fixed, data_enc="b", max_len=self.header)
        self.spec["t"] = dict(fixed, data_enc=text, max_len=2 if text == "b" else 4)
        size = 8 if bitmap == "b" else 16
        self.spec["p"] = dict(fixed, data_enc=bitmap, max_len=size)
        self.spec["1"] = dict(fixed, data_enc=bitmap, max_len=size)
        # Element 1 and 65 mark further bitmaps for the other library.
        self.elements.pop(65, None)

    def message(self, rng):
        """Our notation and the bytes that pyiso8583 writes for it."""
        mti = rng.choice(["0100", "0200", "0210", "0400", "0420", "0800", "0810", "1200"])
        chosen = rng.sample(sorted(self.elements), rng.randint(1, min(30, len(self.elements))))
        fields = {n: self.elements[n].value(rng) for n in sorted(chosen)}
        theirs = {str(n): self.elements[n].theirs(v) for n, v in fields.items()}
        theirs["t"] = mti
        if self.header:
            theirs["h"] = bytes(rng.randrange(256) for _ in range(self.header)).hex().upper()
        raw, _ = iso8583.encode(dict(theirs), self.spec)
        raw = bytes(raw)
        if self.always_128:
            raw = self.widened(raw)
        line = {"mti": mti, "fields": {str(n): v for n, v in fields.items()}}
        if self.header:
            line = {"mti": mti, "header": theirs["h"], "fields": line["fields"]}
        return line, raw

    def widened(self, raw):
        """128 bits of bitmap with bit 1 clear: the other library does not write that itself."""
        at = self.header + 4
        first = int(raw[at:at + 16], 16)
        if first >> 63:
            return raw[:at] + b"%016X" % (first & ~(1 << 63)) + raw[at + 16:]
        return raw[:at + 16] + b"0" * 16 + raw[at + 16:]

    def narrowed(self, raw):
        at = self.header + 4
        if not re.fullmatch(b"[0-9A-Fa-f]{32}", raw[at:at + 32]):
            return None
        first, second = int(raw[at:at + 16], 16), int(raw[at + 16:at + 32], 16)
        if first >> 63:
            return None
        if second == 0:
            return raw[:at + 16] + raw[at + 32:]
        return raw[:at] + b"%016X" % (first | 1 << 63) + raw[at + 16:]

    def read(self, raw):
        """Values in our notation, or None if pyiso8583 rejects the bytes."""
        if self.always_128:
            raw = self.narrowed(raw)
            if raw is None:
                return None
        try:
            decoded, _ = iso8583.decode(raw, self.spec)
        except Exception:
            return None
        fields = {k: v for k, v in decoded.items() if k.isdigit() and k not in ("1", "65")}
        try:
            return {k: self.elements[int(k)].ours(v) for k, v in fields.items()}
        except (KeyError, ValueError):
            return None


def run(binary, command, dialect, lines):
    arguments = [binary, command, "--dialect", dialect]
    if command == "decode":
        arguments.append("--reveal")
    done = subprocess.run(arguments, input="\n".join(lines) + "\n", text=True,
                          capture_output=True, encoding="utf-8")
    out = done.stdout.split("\n")[:-1]
    if done.returncode not in (0, 1) or len(out) != len(lines):
        sys.exit(f"{dialect} {command}: exit {done.returncode}, {len(out)} of {len(lines)} lines, "
                 f"{done.stderr}")
    return out


def damaged(rng, raw, header):
    """One byte changed, added or taken, or the end cut off; the header is left alone."""
    place = rng.randrange(header, len(raw))
    kind = rng.randrange(5)
    if kind == 0:
        return raw[:place]
    if kind == 1:
        return raw[:place] + bytes([rng.randrange(256)]) + raw[place:]
    if kind == 2:
        return raw[:place] + raw[place + 1:]
    if kind == 3:
        return raw[:place] + bytes([raw[place] ^ 1 << rng.randrange(8)]) + raw[place + 1:]
    return raw[:place] + bytes([rng.randrange(256)]) + raw[place + 1:]


def explained(dialect, ours, theirs, raw):
    """Why the two sides may judge damaged bytes differently, or None."""
    error = ours.get("error")
    if error and theirs is not None:
        # We are stricter than the other library, in ways that we can name.
        reason = error["reason"]
        for fragment, why in STRICTER:
            if fragment in reason:
                return why
        return None
    if not error and theirs is None:
        return explained_laxer(dialect, ours, raw)
    if error:
        return "rejected by both"
    fields = ours["fields"]
    if fields == theirs:
        return "accepted by both, alike"
    wrong = {k for k in fields.keys() | theirs.keys() if fields.get(k) != theirs.get(k)}
    if any(dialect.elements[int(k)].text == "gbk" for k in wrong):
        return "GBK tables differ"
    return None


def explained_laxer(dialect, ours, raw):
    for key, value in ours["fields"].items():
        element = dialect.elements.get(int(key))
        if element is None:
            return "element 65 is data here, a marker there"
        if element.text == "gbk" and element.enc == "asc":
            return "bytes that are no GBK are carried here, refused there"
        if element.enc == "bcd" and element.kind != "xn" and len(value) % 2 and "F" in element.pad:
            return "another filler accepted"
    return None


STRICTER = [
    ("nibble is not a decimal digit", "letters in packed digits"),
    ("character is not of the element's class", "characters beyond the class"),
    ("character is not a decimal digit", "letters in a number"),
    ("character is not hexadecimal", "hexadecimal text that is not"),
    ("does not begin with a sign", "amount without sign"),
    ("filler nibble", "filler of a signed amount"),
    ("inner", "damaged inner structure"),
    ("MTI is not four digits", "letters in the MTI"),
    ("bitmap is not hexadecimal", "blanks in a hexadecimal bitmap"),
    ("bitmap names no element", "empty bitmaps"),
    ("length is not written in digits", "signs, blanks or high digits in a length"),
    ("length is above the element's maximum", "three digits of length in two bytes"),
    ("header does not begin", "header of another kind"),
]


def compare(binary, dialect, rng, count, damages, tally):
    """Prints what disagrees; returns how many messages did."""
    pairs = [dialect.message(rng) for _ in range(count)]
    raws = [raw.hex().upper() for _, raw in pairs]
    wrong = 0
    decoded = run(binary, "decode", dialect.name, raws)
    encoded = run(binary, "encode", dialect.name, [json.dumps(line) for line, _ in pairs])
    for (line, raw), read, written in zip(pairs, decoded, encoded):
        if json.loads(read) != line or written != raw.hex().upper():
            wrong += 1
            if wrong <= 3:
                print(f"{dialect.name}: {raw.hex()}\n  sent    {json.dumps(line)}\n  read    {read}"
                      f"\n  written {written}")
    bad = [damaged(rng, rng.choice(pairs)[1], dialect.header) for _ in range(damages)]
    bad = [raw for raw in bad if raw]
    for raw, read in zip(bad, run(binary, "decode", dialect.name, [raw.hex() for raw in bad])):
        ours, theirs = json.loads(read), dialect.read(raw)
        why = explained(dialect, ours, theirs, raw)
        tally[why or "UNEXPLAINED"] += 1
        if why is None:
            wrong += 1
            if wrong <= 6:
                print(f"{dialect.name}: {raw.hex()}\n  ours   {read}\n  theirs {theirs}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("tables", help="JSON file with the dialect tables")
    parser.add_argument("--messages", type=int, default=1000, help="per dialect")
    parser.add_argument("--damaged", type=int, default=1000, help="per dialect")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialect", action="append", help="only these")
    args = parser.parse_args()
    with open(args.tables, encoding="utf-8") as file:
        tables = json.load(file)["dialects"]
    wrong, tally = 0, collections.Counter()
    names = [name for name in tables if not args.dialect or name in args.dialect]
    for name in names:
        rng = random.Random(f"{args.seed} {name}")
        dialect = Dialect(name, tables[name])
        found = compare(args.binary, dialect, rng, args.messages, args.damaged, tally)
        print(f"{name:<28} {args.messages} messages, {args.damaged} damaged: "
              f"{'agree' if found == 0 else f'{found} WRONG'}", flush=True)
        wrong += found
    print(f"\n{len(names)} dialects, seed {args.seed}; damaged messages:")
    for why, count in tally.most_common():
        print(f"{count:8} {why}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
