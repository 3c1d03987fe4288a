"""The engineering deck about the product; knows the machines, not how shapes are drawn."""

from pathlib import Path
from typing import Any

from searchapp.demo import company, slides
from searchapp.demo.deck_file import deck_new, deck_save

TITLE = "How the micro-grid works"


def engineering_build(path: Path) -> None:
    """Write the engineering deck: 10 slides, slide 10 hidden."""
    deck = deck_new(TITLE, "Technical introduction for partners and utilities")
    slides.cover(
        deck,
        "How the micro-grid works",
        "Technical introduction for\npartners and island utilities",
        "Bring the sample blade section and the cut-open battery module.",
    )
    for add in (
        _architecture, _turbine, _power_curve, _battery, _modes, _storm, _black_start, _field,
        _open_points,
    ):  # fmt: skip
        add(deck)
    deck_save(deck, path)


def _architecture(deck: Any) -> None:
    slide = slides.page(deck, "System architecture: four sources, one bus",
                        notes="Every source can be cut off alone. The controller may fail: the "
                        "battery inverter then holds voltage and frequency by itself.")  # fmt: skip
    sources = (
        ("Gannet 30\nwind turbines", company.TEAL), ("Tern 12\nsolar fields", company.SUN),
        ("Guillemot 60\nback-up generator", company.GREY),
    )  # fmt: skip
    for index, (name, fill) in enumerate(sources):
        y = 1.75 + index * 1.35
        ink = company.NAVY if fill == company.SUN else company.WHITE
        slides.shape(
            slide, "round", 0.8, y, 2.7, 1.05, name, fill=fill, ink=ink, size=16, bold=True
        )
        slides.line(slide, 3.5, y + 0.52, 4.9, y + 0.52, arrow=True)
    slides.shape(slide, "box", 4.9, 1.6, 0.5, 4.1, fill=company.NAVY)
    slides.text(slide, "400 V AC bus", 4.2, 5.72, 1.9, 0.4, size=14, bold=True, align="center")
    slides.shape(slide, "round", 6.5, 1.75, 2.9, 1.05, "Eider 240 battery\nwith inverter",
                 fill=company.GREEN, ink=company.WHITE, size=16, bold=True)  # fmt: skip
    slides.line(slide, 5.4, 2.27, 6.5, 2.27, arrow=True)
    consumers = ("Homes and shops", "Water pumps and\ndesalination", "Harbour and\ncold store")
    for index, name in enumerate(consumers):
        y = 3.1 + index * 0.92
        slides.line(slide, 5.4, y + 0.38, 9.9, y + 0.38, arrow=True)
        slides.shape(slide, "round", 9.9, y, 2.7, 0.8, name, size=15)
    slides.shape(slide, "round", 0.8, 6.1, 11.8, 0.75,
                 "Lodestar 2 controller: measures every 20 ms, plans 36 hours ahead, "
                 "reports by satellite or radio link", fill=company.MIST, size=16,
                 bold=True)  # fmt: skip


def _turbine(deck: Any) -> None:
    slide = slides.page(deck, "Gannet 30: a turbine two people can lower",
                        notes="No crane: the mast is hinged, a winch lowers it in 40 "
                              "minutes.")  # fmt: skip
    rows = (
        ("Property", "Value"), ("Rated power", "30 kW at 12 m/s"),
        ("Rotor diameter", "12.4 m, three blades"),
        ("Hub height", "18 m, hinged mast"), ("Starts / stops", "3 m/s / 25 m/s"),
        ("Survival wind, raised", "52 m/s"), ("Survival wind, lowered", "75 m/s"),
        ("Sound at 60 m", "43 dB(A) at 8 m/s"), ("Weight of nacelle", "1,450 kg"),
        ("Design life", "25 years, salt class C5-M"),
    )  # fmt: skip
    slides.table(slide, rows, 0.7, 1.65, (2.7, 3.7), size=15, row_height=0.5)
    slides.line(slide, 9.8, 3.1, 9.8, 6.4, ink=company.GREY, width=6)
    for dx, dy in ((0, -1.5), (1.3, 0.75), (-1.3, 0.75)):
        slides.line(slide, 9.8, 3.1, 9.8 + dx, 3.1 + dy, ink=company.TEAL, width=8)
    slides.shape(slide, "oval", 9.6, 2.9, 0.4, 0.4, fill=company.NAVY)
    slides.shape(slide, "box", 8.6, 6.4, 2.4, 0.35, fill=company.NAVY)
    labels = (
        ("Blade, 6.0 m,\nflax and glass fibre", 11.2, 1.75, 10.0, 2.1),
        ("Nacelle with direct-\ndrive generator", 11.2, 2.75, 10.05, 3.1),
        ("Hinged steel mast", 11.2, 4.75, 9.9, 4.95),
        ("Rock-anchored base", 11.2, 6.2, 11.0, 6.55),
    )  # fmt: skip
    for name, x, y, tx, ty in labels:
        slides.text(slide, name, x, y, 2.1, 0.6, size=13)
        slides.line(slide, x, y + 0.25, tx, ty, width=1)


def _power_curve(deck: Any) -> None:
    slide = slides.page(deck, "Power curve of the Gannet 30",
                        notes="Measured to IEC 61400-12 at the Cape Ansel test field.")  # fmt: skip
    slides.curve(slide, "Electrical output against wind speed", company.POWER_CURVE,
                 ("Wind speed at hub height, m/s", "Output, kW"), 0.6, 1.55, 8.0, 5.3)  # fmt: skip
    slides.bullets(
        slide,
        (
            "Makes useful power from a light breeze of 4 m/s",
            "Full output at 12 m/s, held by stall-regulated blades",
            "At a yearly mean of 7.5 m/s: 92,000 kWh a year",
            "That is enough for about 27 island households",
        ),
        8.9, 1.95, 4.0, size=18,
    )  # fmt: skip


def _battery(deck: Any) -> None:
    slide = slides.page(deck, "Eider 240: how the battery ages",
                        notes="Fast charging in heat is what hurts; the controller limits it above "
                        "32 degrees.")  # fmt: skip
    years = [str(year) for year in range(0, 16, 3)]
    slides.chart(slide, "line", "Remaining capacity in percent by years of use", years,
                 {"Cooled container, 25 °C": (100, 96, 92, 88, 84, 80),
                  "Uncooled shed, 35 °C": (100, 91, 83, 75, 67, 58)},
                 0.6, 1.6, 7.6, 5.2, number_format="0")  # fmt: skip
    slides.bullets(
        slide,
        (
            "Lithium iron phosphate cells, 6,000 full cycles",
            "Container is kept at 25 degrees by a heat pump that uses 1.4 percent of the energy",
            "End of life is set at 70 percent of the first capacity",
            "Modules are swapped one by one without a shut-down",
        ),
        8.5, 1.9, 4.3, size=17,
    )  # fmt: skip


def _modes(deck: Any) -> None:
    slide = slides.page(deck, "Control modes and what makes them change",
                        notes="Transitions have a hold time of ten minutes, to avoid "
                              "hunting.")  # fmt: skip
    states = (
        ("Surplus", "charge battery, heat water,\nmake fresh water", 0.8, 1.8, company.GREEN),
        ("Balanced", "sun and wind cover\nthe island", 5.2, 1.8, company.TEAL),
        ("Saving", "battery feeds, flexible\nloads wait", 9.6, 1.8, company.SUN),
        ("Back-up", "generator runs at its\nbest point", 9.6, 4.9, company.GREY),
        ("Essential only", "clinic, water and\nradio stay on", 5.2, 4.9, company.CORAL),
    )  # fmt: skip
    for name, does, x, y, fill in states:
        ink = company.NAVY if fill == company.SUN else company.WHITE
        slides.shape(slide, "round", x, y, 2.9, 1.5, f"{name}\n{does}", fill=fill, ink=ink, size=15)
    changes = (
        (3.7, 2.3, 5.2, 2.3, "charge < 90 %", 3.7, 1.85),
        (5.2, 2.85, 3.7, 2.85, "charge > 95 %", 3.7, 2.9),
        (8.1, 2.3, 9.6, 2.3, "charge < 45 %", 8.1, 1.85),
        (9.6, 2.85, 8.1, 2.85, "charge > 55 %", 8.1, 2.9),
        (10.6, 3.3, 10.6, 4.9, "charge < 20 %", 9.15, 3.9),
        (11.5, 4.9, 11.5, 3.3, "charge > 40 %", 11.5, 3.9),
        (9.6, 5.65, 8.1, 5.65, "fuel low", 8.15, 5.2),
    )  # fmt: skip
    for x1, y1, x2, y2, name, tx, ty in changes:
        slides.line(slide, x1, y1, x2, y2, arrow=True)
        slides.text(slide, name, tx, ty, 1.5, 0.4, size=12, align="center")
    slides.text(slide, "Charge means the state of charge of the battery.", 0.8, 5.4, 4, 0.4,
                size=13, ink=company.GREY)  # fmt: skip


def _storm(deck: Any) -> None:
    slide = slides.page(deck, "When a hurricane comes: 48 hours to landfall",
                        notes="In September 2025 six sites went through this; none lost a "
                        "blade.")  # fmt: skip
    steps = (
        ("48 h", "Forecast alarm, crew named, fuel checked"),
        ("36 h", "Battery charged full, spare parts inside"),
        ("24 h", "Turbines lowered and lashed to the ground"),
        ("12 h", "Solar rows locked flat, doors sealed"),
        ("0 h", "Essential loads only, nobody outdoors"),
    )  # fmt: skip
    for index, (when, what) in enumerate(steps):
        x = 0.7 + index * 2.42
        slides.shape(slide, "step", x, 1.8, 2.35, 0.95, when,
            fill=company.TEAL if index < 4 else company.CORAL,
                     ink=company.WHITE, size=22, bold=True)  # fmt: skip
        slides.shape(slide, "round", x, 2.95, 2.2, 1.45, what, size=15)
    slides.bullets(
        slide,
        (
            "Two trained people lower one mast in 40 minutes; plan one hour each in rising wind",
            "Above 15 m/s nobody works on a mast: leave it raised, brakes set, and go to shelter",
            "After the storm: drone pictures first, then earth check, then blades",
        ),
        0.7, 4.75, 11.9, size=18,
    )  # fmt: skip


def _black_start(deck: Any) -> None:
    slide = slides.page(deck, "Starting again after a total blackout",
                        notes="Average time in tests was 14 minutes; the customer sees lights "
                        "after 4.")  # fmt: skip
    rows = (
        ("Step", "Who", "What happens", "Ready after"),
        ("1", "Operator", "Opens all feeders, checks that no line is down", "2 min"),
        ("2", "Battery inverter", "Builds 400 V and 50 Hz from stored energy", "3 min"),
        ("3", "Operator", "Closes the clinic and water feeder", "4 min"),
        ("4", "Controller", "Brings solar in, at a tenth of its power each 20 s", "8 min"),
        ("5", "Controller", "Releases the turbine brakes one by one", "11 min"),
        ("6", "Operator", "Closes harbour, shops and homes, largest last", "14 min"),
    )  # fmt: skip
    slides.table(slide, rows, 0.7, 1.75, (0.9, 2.4, 6.6, 2.0), size=16, row_height=0.68)


def _field(deck: Any) -> None:
    slide = slides.page(deck, "Field results: a year on four islands",
                        notes="Vessay is the oldest system and has the best wind.")  # fmt: skip
    slides.chart(slide, "column", "Share of yearly electricity in percent",
                 ("Vessay", "Santa Brisa", "Palmetto Cay", "Motu Ara"),
                 {"Wind": (61, 34, 42, 30), "Solar": (22, 51, 44, 57),
                     "Generator": (17, 15, 14, 13)},
                 0.6, 1.6, 7.9, 5.2, number_format="0")  # fmt: skip
    slides.bullets(
        slide,
        (
            "83 to 87 percent renewable on all four",
            "99.94 percent availability, 5.3 hours without power in the year",
            "Blade edge wear is the most frequent repair, then fan filters",
            "Wind and sun fill each other's gaps: windless nights are 4 percent of hours",
        ),
        8.8, 1.9, 4.1, size=17,
    )  # fmt: skip


def _open_points(deck: Any) -> None:
    slide = slides.page(deck, "Open engineering points (internal)", hidden=True,
                        notes="Take this slide out before it leaves the company.")  # fmt: skip
    rows = (
        ("Point", "Found", "Owner", "State"),
        ("Yaw bearing grease leaks below -12 °C", "Vessay, Feb 2025", "R. Odell",
         "New seal in test"),
        ("Inverter hum disturbs short-wave radio", "Motu Ara, Jun 2025", "S. Kimura",
         "Filter ordered"),
        ("Display unreadable in direct sun", "Palmetto Cay, Jul 2025", "A. Ferro", "Hood designed"),
        ("Clock drifts without satellite", "Santa Brisa, Oct 2025", "S. Kimura", "Cause unknown"),
    )  # fmt: skip
    slides.table(slide, rows, 0.7, 1.75, (5.2, 2.9, 1.6, 2.2), size=15, row_height=0.75)
