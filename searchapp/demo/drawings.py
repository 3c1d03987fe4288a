"""Standalone drawn pictures: plans, a diagram, a table; each function saves one of them."""

from pathlib import Path

from searchapp.demo import company
from searchapp.demo.sketch import Sketch

PIXELS = 1400
Points = tuple[tuple[float, float], ...]


def network_diagram(path: Path) -> None:
    """The data path from the island to headquarters."""
    sketch = Sketch(1000, 620)
    sketch.strong(40, 56, "Remote monitoring: how measurements reach us", size=24)
    sketch.write(40, 82, "Data path and protection, Lodestar 2", size=14, ink=company.GREY)
    zones = (("Island", 40, 300, company.SAND), ("Link", 370, 170, company.WHITE),
             ("Headquarters cloud", 570, 390, company.MIST))  # fmt: skip
    for name, x, w, fill in zones:
        sketch.box(x, 110, w, 450, fill=fill, edge="CBD6DB", radius=10)
        sketch.strong(x + 16, 138, name, size=15, ink=company.GREY)
    nodes = (
        ("Turbine sensors", 60, 170, company.TEAL), ("Solar inverters", 60, 260, company.TEAL),
        ("Battery monitor", 60, 350, company.TEAL),
        ("Lodestar 2\ncontroller", 210, 250, company.NAVY),
        ("Satellite dish", 390, 190, company.GREY), ("4G mobile router", 390, 340, company.GREY),
        ("VPN gateway\nand firewall", 590, 250, company.CORAL),
        ("Message queue", 720, 180, company.NAVY),
        ("Time series\ndatabase", 720, 330, company.NAVY), ("Alarm service", 720, 460, company.SUN),
    )  # fmt: skip
    links = (
        (190, 200, 210, 270), (190, 290, 210, 280), (190, 380, 210, 300), (320, 270, 390, 222),
        (320, 290, 390, 370), (520, 222, 590, 270), (520, 370, 590, 295), (700, 270, 720, 225),
        (785, 242, 785, 330), (785, 392, 785, 460),
    )  # fmt: skip
    for x1, y1, x2, y2 in links:
        sketch.line(x1, y1, x2, y2, width=2)
        sketch.circle(x2, y2, 4, fill=company.GREY)
    for name, x, y, fill in nodes:
        w = 110 if x in (210, 590) else 130
        sketch.box(x, y, w, 62, fill=fill, radius=8)
        ink = company.NAVY if fill == company.SUN else company.WHITE
        top = y + (29 if "\n" in name else 36)
        sketch.strong(x + w / 2, top, name, size=12.5, ink=ink, side="centre")
    sketch.write(866, 345, "Dashboards\nMobile app\nYearly report", size=13)
    sketch.line(850, 360, 862, 360, width=2)
    sketch.write(866, 485, "SMS to warden\nand duty desk", size=11)
    sketch.line(850, 490, 862, 490, width=2)
    sketch.write(40, 595, "All traffic is encrypted (TLS 1.3). Commands need a hardware key; "
                 "without a link the controller works alone.", size=13,
                 ink=company.GREY)  # fmt: skip
    sketch.pixels(PIXELS).save(path)


def floor_plan(path: Path) -> None:
    """Ground floor of the factory with escape routes."""
    sketch = Sketch(1000, 680)
    sketch.strong(40, 54, "Hall 1, ground floor: rooms and escape routes", size=24)
    sketch.write(40, 80, "Port Ansel, Quay 3. Scale 1:250. Assembly point: quay, by the flagpole",
                 size=14, ink=company.GREY)  # fmt: skip
    rooms = (
        ("Blade moulding", "780 m²", 40, 110, 400, 230, company.MIST),
        ("Oven", "120 m²", 440, 110, 140, 110, "F6D9CF"),
        ("Paint booth", "95 m²", 440, 220, 140, 120, "F6D9CF"),
        ("Battery fitting", "310 m²", 580, 110, 240, 230, "DDE9DC"),
        ("Cell store", "fire doors", 820, 110, 140, 130, "F6D9CF"),
        ("Workshop", "90 m²", 820, 240, 140, 100, company.MIST),
        ("Spare parts store", "260 m²", 40, 420, 240, 200, company.SAND),
        ("Final test", "340 m²", 280, 420, 260, 200, company.MIST),
        ("Canteen", "80 seats", 540, 420, 180, 110, "FCEBCF"),
        ("First aid", "room 0.08", 540, 530, 90, 90, "DDE9DC"),
        ("Toilets", "", 630, 530, 90, 90, company.WHITE),
        ("Reception", "room 0.01", 720, 420, 120, 100, "FCEBCF"),
        ("IT desk", "room 0.12", 840, 420, 120, 100, company.WHITE),
        ("Cloakroom", "", 720, 520, 240, 100, company.WHITE),
    )  # fmt: skip
    for name, note, x, y, w, h, fill in rooms:
        sketch.box(x, y, w, h, fill=fill, edge=company.NAVY, width=3)
        sketch.strong(x + w / 2, y + h / 2, name, size=13, side="centre")
        sketch.write(x + w / 2, y + h / 2 + 18, note, size=11, ink=company.GREY, side="centre")
    sketch.strong(500, 385, "Corridor", size=13, ink=company.GREY, side="centre")
    for x1, x2 in ((430, 60), (570, 940)):
        sketch.line(x1, 380, x2, 380, edge=company.GREEN, width=4)
        tip = 14 if x2 > x1 else -14
        sketch.shape(((x2 + tip, 380), (x2, 370), (x2, 390)), fill=company.GREEN)
    for x, name in ((0, "Exit A"), (960, "Exit B")):
        sketch.box(x, 362, 40, 36, fill=company.GREEN)
        sketch.strong(x + 20, 384, name, size=10, ink=company.WHITE, side="centre")
    for x, y in ((300, 365), (620, 365), (60, 435), (800, 365)):
        sketch.circle(x, y, 8, fill=company.CORAL)
    sketch.circle(50, 652, 8, fill=company.CORAL)
    sketch.write(66, 657, "Fire extinguisher", size=13)
    sketch.line(230, 652, 270, 652, edge=company.GREEN, width=4)
    sketch.write(280, 657, "Escape route", size=13)
    sketch.pixels(PIXELS).save(path)


def _rounded(points: Points) -> Points:
    """Chaikin's corner cutting, three times: a polygon becomes a smooth outline."""
    for _ in range(3):
        pairs = zip(points, (*points[1:], points[0]), strict=True)
        points = tuple(
            (ax + (bx - ax) * share, ay + (by - ay) * share)
            for (ax, ay), (bx, by) in pairs
            for share in (0.25, 0.75)
        )
    return points


def island_map(path: Path) -> None:
    """Where the machines and cables stand on one island."""
    sketch = Sketch(1000, 700, paper="D5E8EE")
    coast = ((170, 330), (230, 230), (350, 180), (470, 200), (560, 150), (700, 170), (800, 250),
             (850, 370), (790, 480), (690, 520), (600, 590), (460, 600), (380, 540), (260, 520),
             (190, 440))  # fmt: skip
    sketch.shape(_rounded(coast), fill="E9E4CC", edge="B9AE86", width=3)
    hill = ((540, 230), (650, 185), (740, 270), (710, 360), (580, 350))
    sketch.shape(_rounded(hill), fill="D3DCB4")
    sketch.strong(40, 56, "Vessay: site map of the micro-grid", size=24)
    sketch.write(40, 82, "Four turbines on Gull Hill, solar by the school, battery at the pier",
                 size=14, ink=company.GREY)  # fmt: skip
    cable = ((640, 285), (560, 380), (450, 430), (330, 470))
    sketch.shape(cable, edge=company.CORAL, width=3.5, closed=False)
    sketch.line(450, 430, 430, 300, edge=company.CORAL, width=3.5)
    for x, y in ((600, 260), (640, 285), (680, 250), (690, 310)):
        sketch.line(x, y, x, y - 34, edge=company.NAVY, width=3)
        for dx, dy in ((0, -16), (14, 8), (-14, 8)):
            sketch.line(x, y - 34, x + dx, y - 34 + dy, edge=company.NAVY, width=2.5)
    for x in (395, 425, 455):
        sketch.box(x, 270, 24, 34, fill=company.SUN, edge=company.NAVY)
    sketch.box(305, 455, 50, 28, fill=company.GREEN, edge=company.NAVY)
    sketch.line(190, 490, 262, 480, edge=company.NAVY, width=7)
    places = (
        ("Gull Hill, 87 m", 722, 330), ("Turbines 1 to 4", 722, 348), ("Solar fields", 395, 258),
        ("Battery and generator", 365, 475), ("Pier", 190, 515), ("School", 506, 292),
        ("Skeld farm", 575, 430),
        ("Lighthouse", 745, 225), ("Fish hall and cold store", 365, 520), ("Church", 560, 540),
    )  # fmt: skip
    for name, x, y in places:
        sketch.strong(x, y, name, size=13)
    for x, y in ((496, 288), (565, 426), (735, 221), (355, 516), (550, 536)):
        sketch.circle(x, y, 4, fill=company.NAVY)
    sketch.box(40, 590, 260, 84, fill=company.WHITE, radius=8)
    sketch.line(56, 612, 96, 612, edge=company.CORAL, width=3.5)
    sketch.write(108, 617, "Buried cable, 1 kV", size=13)
    sketch.line(56, 650, 156, 650, edge=company.NAVY, width=3)
    sketch.write(170, 655, "500 metres", size=13)
    sketch.shape(((920, 90), (905, 140), (920, 128), (935, 140)), fill=company.NAVY)
    sketch.strong(920, 82, "N", size=16, side="centre")
    sketch.pixels(PIXELS).save(path)


def stock_table(path: Path) -> None:
    """The stock of spare parts as a picture of a table."""
    sketch = Sketch(1000, 600)
    sketch.strong(40, 56, "Spare parts in stock, Port Ansel warehouse", size=24)
    sketch.write(
        40, 82, "Count of 5 January 2026. Red: below the reorder level", size=14, ink=company.GREY
    )
    columns = (
        (50, "left"),
        (180, "left"),
        (560, "right"),
        (680, "right"),
        (800, "right"),
        (830, "left"),
    )
    rows = (
        ("Part no.", "Description", "On shelf", "Reorder at", "Price, EUR", "Supplier"),
        ("BL-3006", "Blade set, 6.0 m, balanced", "3", "4", "11,200", "own make"),
        ("YB-1601", "Yaw bearing with seal", "9", "5", "1,840", "Kugel & Sohn"),
        ("BP-0120", "Brake pads, pair", "64", "30", "38", "Frenos SA"),
        ("FF-0007", "Fan filter F-7, box of 12", "21", "25", "54", "AirNord"),
        ("BM-0118", "Battery module 6 kWh", "14", "10", "1,950", "Lumicell"),
        ("IN-0050", "Battery inverter 50 kW", "2", "2", "8,700", "Voltaire"),
        ("ET-0300", "Blade edge tape, 30 m roll", "47", "20", "96", "Dermaline"),
        ("WR-0060", "Winch rope, 60 m", "6", "4", "310", "Tauwerk"),
        ("SC-0004", "Solar connector, bag of 10", "130", "60", "22", "Plugtec"),
    )  # fmt: skip
    for index, row in enumerate(rows):
        y = 110 + index * 46
        fill = company.NAVY if index == 0 else (company.MIST if index % 2 == 0 else company.WHITE)
        sketch.box(40, y, 920, 46, fill=fill)
        low = index > 0 and int(row[2]) < int(row[3])
        for (x, side), value in zip(columns, row, strict=True):
            ink = company.WHITE if index == 0 else (company.CORAL if low else company.NAVY)
            font = "Helvetica-Bold" if index == 0 or low else "Helvetica"
            sketch.write(x, y + 28, value, size=14, ink=ink, font=font, side=side)
    sketch.line(40, 570, 960, 570, edge=company.NAVY, width=1.5)
    sketch.pixels(PIXELS).save(path)
