"""An old paper file as if it had come from a scanner: pictures only, no text layer."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from searchapp.demo import company
from searchapp.demo.sketch import Sketch

TITLE = "Vessay site file 2018-2019 (scan)"
SIZE = (595.0, 842.0)
PIXELS = 1240
TYPE = "Courier"
INK = "2A2A2E"
PEN = "24408E"


def scan_build(path: Path) -> None:
    """Write the scanned site file: four pages, each one a slightly turned, noisy picture."""
    random = np.random.default_rng(1847)
    canvas: Any = Canvas(str(path), pagesize=SIZE, invariant=1)
    canvas.setTitle(TITLE)
    pages: Sequence[Callable[[Sketch], None]] = (_permit, _noise, _lease, _delivery)
    for draw, angle in zip(pages, (0.9, -0.7, 0.5, -1.1), strict=True):
        sketch = Sketch(*SIZE, paper="F6F1E3")
        draw(sketch)
        image = _scan(sketch.pixels(PIXELS), angle, random)
        canvas.drawImage(ImageReader(_jpeg(image)), 0, 0, *SIZE)
        canvas.showPage()
    canvas.save()


def _scan(image: Image.Image, angle: float, random: np.random.Generator) -> Image.Image:
    turned = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(214, 208, 194))
    soft = np.asarray(turned.convert("L").filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    height, width = soft.shape
    shade = 1 - 0.10 * np.linspace(0, 1, width, dtype=np.float32)[None, :] ** 3
    grain = random.normal(0, 7, (height, width)).astype(np.float32)
    specks = random.random((height, width)) < 0.00012
    noisy = np.where(specks, 60, soft * shade + grain)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=62)
    buffer.seek(0)
    return buffer


def _typed(sketch: Sketch, y: float, content: str, *, size: float = 11) -> None:
    sketch.write(70, y, content, size=size, ink=INK, font=TYPE, leading=1.5)


def _signature(sketch: Sketch, x: float, y: float) -> None:
    turns = np.linspace(0, 26, 200)
    across = x + turns * 4.6 + 7 * np.sin(turns * 1.1)
    along = y - (16 * np.exp(-turns / 14) + 2) * np.sin(turns * 1.55 + 0.6)
    points = list(zip(across.tolist(), along.tolist(), strict=True))
    sketch.shape(points, edge=PEN, width=1.4, closed=False)


def _permit(sketch: Sketch) -> None:
    sketch.write(70, 85, "VESSAY HARBOUR AUTHORITY", size=17, ink=INK, font="Times-Bold")
    sketch.write(70, 103, "Pier Road 1, Vessay", size=11, ink=INK, font="Times-Roman")
    sketch.line(70, 114, 525, 114, edge=INK)
    _typed(sketch, 150, "To: Skerrylight Energy AS, Port Ansel\nRef: VHA 18/0417\n\n14 March 2018")
    _typed(
        sketch, 245,
        "PERMIT TO ERECT TWO WIND TURBINES ON GULL HILL\n\n"
        "Dear Ms Holt,\n\n"
        "The council heard your application on 6 March and\n"
        "grants it under these conditions:\n\n"
        " 1. Total height shall not exceed 25 metres.\n"
        " 2. No building work from 1 April to 31 July,\n"
        "    the breeding season of the storm petrel.\n"
        " 3. The path to the old lighthouse stays open.\n"
        " 4. Noise at the nearest house shall not exceed\n"
        "    45 dB(A) by day and 40 dB(A) by night.\n"
        " 5. Red obstacle lights are not required.\n"
        " 6. The site shall be cleared within one year\n"
        "    after the turbines have stopped for good.\n\n"
        "The permit is valid for 25 years. Appeals may be\n"
        "lodged within six weeks at the district office.",
    )  # fmt: skip
    _signature(sketch, 75, 660)
    _typed(sketch, 690, "J. Mackinnon, Harbour Master")
    sketch.circle(450, 650, 46, edge=PEN, width=2.5)
    sketch.circle(450, 650, 38, edge=PEN, width=1)
    sketch.write(
        450, 645, "GRANTED\n14 MAR 2018", size=10, ink=PEN, font="Times-Bold", side="centre"
    )


def _noise(sketch: Sketch) -> None:
    _typed(sketch, 90, "NOISE MEASUREMENT RECORD              Sheet 2 of 2", size=12)
    sketch.line(70, 102, 525, 102, edge=INK)
    _typed(
        sketch, 130,
        "Site:       Gull Hill, Vessay\n"
        "Date:       11 October 2019, 21:40 to 23:10\n"
        "Meter:      class 1, calibrated 3 September 2019\n"
        "Weather:    clear, 6 degrees, wind from south-west",
    )  # fmt: skip
    rows = (
        ("Place", "Distance", "Wind", "Turbine on", "Off"),
        ("Foot of mast", "5 m", "8 m/s", "57 dB", "41 dB"),
        ("Stone wall", "60 m", "8 m/s", "43 dB", "40 dB"),
        ("School yard", "310 m", "8 m/s", "38 dB", "38 dB"),
        ("Skeld farm", "240 m", "7 m/s", "39 dB", "37 dB"),
        ("Church door", "420 m", "8 m/s", "37 dB", "37 dB"),
    )  # fmt: skip
    for index, row in enumerate(rows):
        y = 245 + index * 34
        for x, value in zip((78, 190, 275, 350, 455), row, strict=True):
            sketch.write(x, y, value, size=11, ink=INK, font="Courier-Bold" if index == 0 else TYPE)
        sketch.line(70, y + 12, 525, y + 12, edge=INK, width=0.7)
    _typed(
        sketch, 480,
        "Remarks\n\n"
        "At the school and the church the machines cannot be\n"
        "heard above the surf. At Skeld farm a faint hum was\n"
        "noticed when the wind dropped. The night limit of\n"
        "40 dB(A) is kept at all houses.\n\n"
        "Repeat after five years or after a change of blades.",
    )  # fmt: skip
    _signature(sketch, 75, 650)
    _typed(sketch, 680, "Measured by R. Odell, witnessed by U. Skeld")


def _lease(sketch: Sketch) -> None:
    sketch.write(297, 95, "LEASE OF LAND", size=20, ink=INK, font="Times-Bold", side="centre")
    sketch.write(
        70, 135,
        "between Ewan and Una Skeld, Skeld Farm, Vessay (the Owners)\n"
        "and Skerrylight Energy AS, Port Ansel (the Tenant)",
        size=13, ink=INK, font="Times-Roman", leading=1.5,
    )  # fmt: skip
    clauses = (
        ("1. Land", "Field no. 27 on Gull Hill, 4,100 square metres, as marked on the plan."),
        ("2. Use", "Four wind turbines, one battery container and the cables between them."),
        ("3. Term", "25 years from 1 May 2018. The Tenant may extend once by ten years."),
        ("4. Rent", "2,400 euros a year, raised each year with the price index, and\n"
         "5,000 kilowatt-hours of electricity free of charge for the farm."),
        ("5. Sheep", "The Owners may graze sheep between the masts. Gates are kept shut."),
        ("6. Damage", "The Tenant mends walls, drains and tracks within four weeks."),
        ("7. Return", "At the end the Tenant removes everything down to one metre below\n"
         "ground and sows grass. A bond of 18,000 euros lies at Harbourstone Bank."),
    )  # fmt: skip
    y = 205.0
    for name, content in clauses:
        sketch.write(70, y, name, size=13, ink=INK, font="Times-Bold")
        sketch.write(150, y, content, size=13, ink=INK, font="Times-Roman", leading=1.4)
        y += 44 + 18 * content.count("\n")
    sketch.write(70, 600, "Vessay, 20 April 2018", size=13, ink=INK, font="Times-Italic")
    for x, name in ((75, "for the Owners"), (330, "for the Tenant")):
        _signature(sketch, x, 660)
        sketch.line(x - 5, 672, x + 150, 672, edge=INK, width=0.7)
        sketch.write(x, 690, name, size=11, ink=INK, font="Times-Roman")


def _delivery(sketch: Sketch) -> None:
    sketch.write(70, 85, "DELIVERY NOTE  No. 5521", size=16, ink=INK, font="Courier-Bold")
    _typed(
        sketch, 115,
        "From:  Skerrylight, Quay 3, Port Ansel\n"
        "To:    Vessay pier, for Gull Hill\n"
        "Ship:  MV Solveig, arrival 2 August 2019",
    )  # fmt: skip
    rows = (
        ("Pcs", "Goods", "kg each"), ("2", "Gannet 30 nacelle, crated", "1,450"),
        ("2", "Blade box, three blades each", "620"), ("6", "Mast section with flange", "780"),
        ("1", "Winch with 60 m rope", "210"), ("1", "Eider 240 container, empty", "4,900"),
        ("40", "Battery module, 30 % charge", "118"), ("3", "Drum of cable 4 x 50", "390"),
    )  # fmt: skip
    for index, row in enumerate(rows):
        y = 205 + index * 34
        font = "Courier-Bold" if index == 0 else TYPE
        sketch.write(80, y, row[0], size=12, ink=INK, font=font)
        sketch.write(140, y, row[1], size=12, ink=INK, font=font)
        sketch.write(500, y, row[2], size=12, ink=INK, font=font, side="right")
        sketch.line(70, y + 12, 525, y + 12, edge=INK, width=0.7)
    _typed(sketch, 500, "Total weight: 19,820 kg\n\nDamage on arrival:")
    sketch.write(
        90,
        560,
        "One crate wet, blade tip scratched (box 2),",
        size=15,
        ink=PEN,
        font="Times-Italic",
    )
    sketch.write(
        90, 582, "photos sent. One cable drum missing!", size=15, ink=PEN, font="Times-Italic"
    )
    _signature(sketch, 80, 660)
    _typed(sketch, 690, "Goods received by F. Lund, 2 August 2019")
    sketch.box(370, 615, 150, 44, edge=company.CORAL, width=2)
    sketch.write(
        445, 643, "CLAIM OPENED", size=14, ink=company.CORAL, font="Courier-Bold", side="centre"
    )
