"""Standalone pictures of made things: an app screen, a poster, a photographed invoice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from searchapp.demo import company
from searchapp.demo.sketch import Sketch

Corners = Sequence[tuple[float, float]]


def app_screen(path: Path) -> None:
    """A screen of the Lodestar operator app."""
    sketch = Sketch(1200, 750, paper="F3F6F8")
    sketch.box(0, 0, 200, 750, fill=company.NAVY)
    sketch.strong(28, 50, "Lodestar", size=22, ink=company.SUN)
    for index, name in enumerate(
        ("Overview", "Sources", "Battery", "Alarms (2)", "Forecast", "Settings")
    ):
        y = 110 + index * 48
        if index == 0:
            sketch.box(14, y - 24, 172, 38, fill=company.TEAL, radius=8)
        sketch.write(30, y, name, size=15, ink=company.WHITE)
    sketch.strong(230, 52, "Motu Ara, overview", size=24)
    sketch.write(1170, 50, "Tuesday 18 Nov 2025, 14:05", size=14, ink=company.GREY, side="right")
    tiles = (("Wind now", "48 kW", company.TEAL), ("Sun now", "31 kW", "C77F14"),
             ("Battery", "78 %", company.GREEN), ("Demand", "64 kW", company.NAVY))  # fmt: skip
    for index, (name, figure, ink) in enumerate(tiles):
        x = 230 + index * 238
        sketch.box(x, 80, 222, 110, fill=company.WHITE, edge="DCE4E8", radius=10)
        sketch.write(x + 20, 112, name, size=14, ink=company.GREY)
        sketch.strong(x + 20, 162, figure, size=34, ink=ink)
    _app_forecast(sketch)
    _app_alarms(sketch)
    sketch.pixels(1440).save(path)


def _app_forecast(sketch: Sketch) -> None:
    sketch.box(230, 210, 580, 510, fill=company.WHITE, edge="DCE4E8", radius=10)
    sketch.strong(252, 244, "Battery charge, next 36 hours", size=16)
    for index, level in enumerate((100, 75, 50, 25, 0)):
        y = 280 + index * 92
        sketch.line(300, y, 785, y, edge="E3EAEE", width=1)
        sketch.write(288, y + 5, f"{level} %", size=12, ink=company.GREY, side="right")
    hours = np.linspace(0, 36, 73)
    charge = np.clip(78 + 15 * np.sin(hours / 24 * 2 * np.pi) - hours * 0.4, 0, 100)
    points = [(300 + h / 36 * 485, 648 - c * 3.68) for h, c in zip(hours, charge, strict=True)]
    sketch.shape([*points, (785, 648), (300, 648)], fill="DDE9DC")
    sketch.shape(points, edge=company.GREEN, width=3, closed=False)
    for index, name in enumerate(("14:00", "20:00", "02:00", "08:00", "14:00", "20:00", "02:00")):
        sketch.write(300 + index * 80.8, 672, name, size=12, ink=company.GREY, side="centre")
    sketch.write(252, 704, "Plan: make fresh water until 18:00, no generator needed", size=13)


def _app_alarms(sketch: Sketch) -> None:
    sketch.box(826, 210, 344, 250, fill=company.WHITE, edge="DCE4E8", radius=10)
    sketch.strong(846, 244, "Open alarms", size=16)
    alarms = (("B-301", "Module 17 hotter than others", "Change fan filter", company.CORAL),
              ("S-202", "Row 4 gives less power", "Wash the panels", company.SUN))  # fmt: skip
    for index, (code, what, remedy, fill) in enumerate(alarms):
        y = 266 + index * 92
        sketch.box(846, y, 8, 74, fill=fill)
        sketch.strong(868, y + 20, code, size=14)
        sketch.write(868, y + 42, what, size=14)
        sketch.write(868, y + 63, remedy, size=13, ink=company.GREY)
    sketch.box(826, 476, 344, 244, fill=company.WHITE, edge="DCE4E8", radius=10)
    sketch.strong(846, 510, "Turbines", size=16)
    for index, (name, state) in enumerate((("Gannet 1", "26 kW"), ("Gannet 2", "22 kW"),
                                           ("Gannet 3", "stopped for service"))):  # fmt: skip
        y = 548 + index * 36
        sketch.circle(854, y - 5, 6, fill=company.GREEN if index < 2 else company.GREY)
        sketch.write(872, y, name, size=14)
        sketch.write(1150, y, state, size=14, ink=company.GREY, side="right")
    sketch.box(846, 660, 304, 42, fill=company.CORAL, radius=8)
    sketch.strong(998, 686, "Stop all turbines", size=15, ink=company.WHITE, side="centre")


def fair_poster(path: Path) -> None:
    """The poster for the trade fair."""
    sketch = Sketch(700, 990, paper=company.NAVY)
    sketch.circle(500, 390, 120, fill=company.SUN)
    for centre, radius, fill in (((160, 1010), 400, company.TEAL), ((620, 1080), 400, "2C94A7")):
        sketch.circle(*centre, radius, fill=fill)
    for x, top, size in ((200, 450, 1.0), (420, 540, 0.8), (90, 560, 0.6)):
        sketch.line(x, top, x, top + 260 * size, edge=company.WHITE, width=7 * size)
        for dx, dy in ((0, -110), (96, 54), (-96, 54)):
            sketch.line(x, top, x + dx * size, top + dy * size, edge=company.WHITE, width=7 * size)
    sketch.strong(50, 110, "Lights on.", size=76, ink=company.WHITE)
    sketch.strong(50, 195, "Diesel off.", size=76, ink=company.SUN)
    sketch.write(52, 250, "Clean power for islands, from wind and sun", size=23, ink="CFE3E8")
    sketch.strong(50, 850, "Island Energy Fair, Lisbon", size=32, ink=company.WHITE)
    sketch.write(50, 888, "21 to 23 April 2026, hall 4, stand C12", size=22, ink=company.WHITE)
    sketch.write(50, 922, "See the mast lie down: live show every day at 11 and 15 h", size=18,
                 ink=company.WHITE)  # fmt: skip
    sketch.strong(50, 962, company.NAME, size=22, ink=company.SUN)
    sketch.pixels(1050).save(path)


def _invoice() -> Image.Image:
    sketch = Sketch(595, 842)
    sketch.strong(50, 80, company.NAME, size=24, ink=company.TEAL)
    sketch.write(545, 66, f"{company.LEGAL_NAME}\nQuay 3, {company.TOWN}\nVAT 5550 2011", size=10,
                 side="right")  # fmt: skip
    sketch.write(50, 150, "Palmetto Cay Island Council\n14 Mangrove Street\nPalmetto Cay", size=12)
    sketch.strong(50, 250, "INVOICE 2025-0188", size=20)
    sketch.write(
        50, 275, "Date 3 February 2025. Payment due 5 March 2025", size=11, ink=company.GREY
    )
    rows = (
        ("Pcs", "Description", "Unit EUR", "Total EUR"),
        ("2", "Gannet 30 wind turbine", "96,000", "192,000"),
        ("3", "Tern 12 solar field", "14,800", "44,400"),
        ("1", "Eider 240 battery", "118,000", "118,000"),
        ("1", "Lodestar 2 controller", "17,500", "17,500"),
        ("1", "Freight to Palmetto Cay", "21,300", "21,300"),
    )  # fmt: skip
    for index, row in enumerate(rows):
        y = 310 + index * 36
        sketch.box(50, y, 495, 36, fill=company.NAVY if index == 0 else company.MIST)
        ink = company.WHITE if index == 0 else company.NAVY
        for x, side, value in zip(
            (62, 100, 430, 532), ("left", "left", "right", "right"), row, strict=True
        ):
            sketch.write(x, y + 23, value, size=13, ink=ink, side=side)
    sums = (("Sum", "393,200"), ("Prepayment received", "-148,760"), ("Amount due", "244,440"))
    for index, (name, value) in enumerate(sums):
        draw = sketch.strong if index == 2 else sketch.write
        draw(430, 560 + index * 28, name, size=14, side="right")
        draw(532, 560 + index * 28, value, size=14, side="right")
    sketch.write(50, 700, "Export delivery, free of tax. Goods stay ours until paid in full.\n"
                 "Harbourstone Bank, account 5550 18 77 402", size=11)  # fmt: skip
    return sketch.pixels(1000)


def invoice_photo(path: Path) -> None:
    """An invoice lying on a desk, photographed at an angle."""
    random = np.random.default_rng(188)
    size = (1200, 1500)
    corners: Corners = ((170, 120), (1010, 190), (1100, 1400), (90, 1350))
    desk = _desk(size, random)
    shadow = Image.new("L", size, 0)
    ImageDraw.Draw(shadow).polygon([(x + 16, y + 22) for x, y in corners], fill=150)
    desk.paste((28, 18, 10), mask=shadow.filter(ImageFilter.GaussianBlur(18)))
    paper = _invoice()
    coefficients = _perspective(corners, paper.size)
    sheet = paper.transform(
        size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC
    )
    mask = Image.new("L", paper.size, 255).transform(
        size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC
    )
    desk.paste(sheet, mask=mask)
    light = np.linspace(1.04, 0.80, size[0], dtype=np.float32)[None, :, None]
    pixels = np.asarray(desk, np.float32) * light + random.normal(0, 4, (size[1], size[0], 1))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=84)


def _desk(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """A wooden surface: fine grain stretched along the boards."""
    height = size[1]
    grain = random.normal(0, 1, (height, 40)).astype(np.float32)
    wide = Image.fromarray(grain).resize(size, Image.Resampling.BICUBIC)
    tone = np.asarray(wide)[:, :, None] * np.array([9, 7, 5], np.float32) + np.array([134, 98, 66])
    boards = (np.arange(height) // 300 % 2 * 8 - 4)[:, None, None]
    return Image.fromarray(np.clip(tone + boards, 0, 255).astype(np.uint8))


def _perspective(corners: Corners, source: tuple[int, int]) -> list[float]:
    """Pillow's eight coefficients that map the picture's corners back to the source's."""
    width, height = source
    rows, values = [], []
    for (x, y), (u, v) in zip(
        corners, ((0, 0), (width, 0), (width, height), (0, height)), strict=True
    ):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solved: list[float] = np.linalg.solve(np.array(rows, float), np.array(values, float)).tolist()
    return solved
