"""Makes a screenshot's SVG small enough to be kept: what says nothing about the picture's content goes."""

from __future__ import annotations

import re

_CLIP = re.compile(r'<clipPath id="[^"]*line[^"]*">.*?</clipPath>', re.DOTALL)
_ATTRIBUTES = re.compile(r' (?:clip-path="url\(#[^"]*line[^"]*\)"|textLength="[^"]*"|shape-rendering="crispEdges")')
_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
_UNIQUE = re.compile(r"terminal-\d+-")
_DECIMALS = re.compile(r'(="-?\d+\.\d)\d+"')
_SPACE = re.compile(r"\n\s*")
_RECT = re.compile(r'<rect fill="([^"]*)" x="([^"]*)" y="([^"]*)" width="([^"]*)" height="([^"]*)"/>')


def compact(svg: str) -> str:
    """The same picture without clipping, fonts from afar, unique names and lengths of texts; backgrounds joined."""
    for pattern in (_CLIP, _ATTRIBUTES, _FONT):
        svg = pattern.sub("", svg)
    svg = _DECIMALS.sub(r'\1"', _UNIQUE.sub("", svg))
    svg = _SPACE.sub("\n", svg).replace("<text class", "\n<text class").replace("<rect", "\n<rect")
    lines: list[str] = []
    for line in svg.splitlines():
        before = _RECT.fullmatch(lines[-1]) if lines else None
        now = _RECT.fullmatch(line)
        if before and now and (before[1], before[3], before[5]) == (now[1], now[3], now[5]):
            left, right = float(before[2]), float(now[2]) + float(now[4])
            if abs(left + float(before[4]) - float(now[2])) < 0.3:
                x, width = before[2], round(right - left, 1)
                lines[-1] = f'<rect fill="{now[1]}" x="{x}" y="{now[3]}" width="{width:g}" height="{now[5]}"/>'
                continue
        if line:
            lines.append(line)
    return "\n".join(lines) + "\n"
