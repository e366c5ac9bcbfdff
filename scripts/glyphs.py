"""Write ``perturb/tables/glyphs.csv``: characters that look alike in an open font.

Run once, by hand; needs numpy, Pillow (matplotlib brings it) and Noto Sans CJK:

    python scripts/glyphs.py src/emrobust --font NotoSansCJK-Regular.ttc

Every character of ``homophones.csv`` and of the guards' tables is rendered, blurred a little and
compared with every other by the cosine of their pictures about the mean picture. The nearest
few that are near enough stay, the nearest first.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 40  # pixels
NEAR = 0.56  # cosine
OTHERS = 5
SIMPLIFIED = 2  # the face of the collection with the mainland's shapes
# No error may write one of these: they are, or begin, a guarded fact; or they make another disease.
GUARDED = set(
    "零一二三四五六七八九十百千万两半数几不无没未非否勿莫免别上下前后内外左右双男女有伴但疑似"
    "恐现今史曾母父妈爸哥弟姐兄妹叔舅姨愈却仍癌瘤"
)


def render(character: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """The blurred picture as a vector."""
    image = Image.new("L", (SIZE, SIZE))
    left, top, right, bottom = font.getbbox(character)
    at = ((SIZE - right - left) / 2, (SIZE - bottom - top) / 2)
    ImageDraw.Draw(image).text(at, character, fill=255, font=font)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), np.float32).ravel()


def neighbours(characters: list[str], font: ImageFont.FreeTypeFont) -> dict[str, str]:
    """Each character's look-alikes, the nearest first."""
    pictures = np.stack([render(character, font) for character in characters])
    pictures -= pictures.mean(axis=0)
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    found = {}
    for place, character in enumerate(characters):
        near = pictures @ pictures[place]
        order = np.argsort(-near)[1 : OTHERS + 8]
        others = [characters[o] for o in order if near[o] >= NEAR and characters[o] not in GUARDED]
        if others and character not in GUARDED:
            found[character] = "".join(others[:OTHERS])
    return found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="the folder src/emrobust")
    parser.add_argument("--font", type=Path, required=True)
    options = parser.parse_args()
    tables = options.package / "perturb" / "tables"
    with (tables / "homophones.csv").open(encoding="utf-8", newline="") as file:
        characters = [row["term"] for row in csv.DictReader(file) if len(row["term"]) == 1]
    font = ImageFont.truetype(str(options.font), SIZE - 4, index=SIMPLIFIED)
    found = neighbours(characters, font)
    out = tables / "glyphs.csv"
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["term", "others"])
        writer.writerows((term, "|".join(others)) for term, others in found.items())
    print(f"{len(found)} characters in {out}")


if __name__ == "__main__":
    main()
