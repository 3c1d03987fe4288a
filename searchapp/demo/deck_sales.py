"""The sales kick-off deck; knows markets and offers, not how shapes are drawn."""

from pathlib import Path
from typing import Any

from searchapp.demo import company, slides
from searchapp.demo.deck_file import deck_new, deck_save

TITLE = "Sales kick-off 2026"


def sales_build(path: Path) -> None:
    """Write the sales deck: 10 slides, slide 6 hidden."""
    deck = deck_new(TITLE, "All sales and marketing staff")
    slides.cover(
        deck,
        "Sales kick-off 2026",
        "Four regions, one promise:\nlights on, diesel off",
        "Start with the short film from Motu Ara.",
    )
    for add in (
        _regions, _why, _story, _prices, _discounts, _rivals, _objections, _campaign, _targets,
    ):  # fmt: skip
        add(deck)
    deck_save(deck, path)


def _regions(deck: Any) -> None:
    slide = slides.page(deck, "Sales by region: the Caribbean grew fastest",
                        notes="Caribbean up 53 percent, thanks to four repeat orders.")  # fmt: skip
    slides.chart(slide, "column", "Revenue by region, EUR million", company.REGIONS,
                 {"2024": company.REGION_REVENUE_2024, "2025": company.REGION_REVENUE_2025},
                 0.6, 1.6, 7.9, 5.2)  # fmt: skip
    rows = (
        ("Region", "Growth", "New systems"), ("North Atlantic", "16 %", "4"),
        ("Mediterranean", "29 %", "4"), ("Caribbean", "53 %", "4"), ("Pacific", "45 %", "2"),
        ("All", "30 %", "14"),
    )  # fmt: skip
    slides.table(slide, rows, 8.75, 2.1, (1.7, 1.05, 1.25), size=13, row_height=0.6)


def _why(deck: Any) -> None:
    slide = slides.page(deck, "Why we win and why we lose bids",
                        notes="From 48 debriefings with island councils, 2024 and "
                              "2025.")  # fmt: skip
    slides.chart(slide, "doughnut", "Why we lost: share of 19 lost bids, percent",
                 ("Delivery too late", "Price", "No local service", "Finance fell through"),
                 {"Lost": (42, 26, 21, 11)}, 0.6, 1.6, 6.0, 5.2, number_format="0")  # fmt: skip
    slides.bullets(
        slide,
        (
            "29 won, 19 lost: a hit rate of 60 percent",
            "We win with proof: a visit to a running island doubles the odds",
            "We win with masts that lie down in a storm",
            "Waiting time of 27 weeks is now the first reason for a no",
            "A price gap under 8 percent has never lost us a bid",
        ),
        7.0, 1.9, 5.7,
    )  # fmt: skip


def _story(deck: Any) -> None:
    slide = slides.page(deck, "Customer story: Vessay, 412 people, 83 % renewable",
                        notes="Mayor Una Skeld is happy to take calls from other "
                              "mayors.")  # fmt: skip
    facts = (("2019", "first two turbines"), ("640,000 l", "diesel saved so far"),
             ("€0.18", "per kWh, before €0.43"))  # fmt: skip
    for index, (figure, label) in enumerate(facts):
        slides.card(slide, figure, label, 0.7 + index * 4.1, 1.7, 3.75)
    slides.shape(slide, "round", 0.7, 3.6, 5.6, 3.1,
                 "“The young families stay. The fish hall freezes with the wind, the school is "
                 "warm, "
                 "and nobody counts the days to the next tanker.”\n\nUna Skeld, Mayor of Vessay",
                 fill=company.NAVY, ink=company.WHITE, size=18)  # fmt: skip
    slides.bullets(
        slide,
        (
            "Four Gannet 30, two Tern 12, two Eider 240",
            "The cold store became the biggest flexible load",
            "Two islanders trained as wardens, half a day a week each",
            "The old generator ran 4,900 hours a year, now 620",
        ),
        6.7, 3.75, 6.0, size=18,
    )  # fmt: skip


def _prices(deck: Any) -> None:
    slide = slides.page(deck, "Price list, valid from 1 February 2026",
                        notes="Transport, foundations and tax are never in these "
                              "prices.")  # fmt: skip
    rows = [("Code", "Product", "Use", "Rating", "Price, EUR")]
    rows += [(p.code, p.name, p.use, p.rating, f"{p.price:,}") for p in company.PRODUCTS]
    rows.append(
        ("SV-A", "Service contract A", "Yearly visit, remote watch", "per turbine, year", "3,900")
    )
    slides.table(slide, rows, 0.7, 1.7, (1.3, 2.7, 3.2, 3.1, 1.6), size=16, row_height=0.66)
    slides.text(slide, "Typical island of 400 people: four GN-30, two TR-12, two ED-240, one "
                       "LS-2 = "
                "EUR 667,100", 0.7, 6.45, 11.9, 0.4, size=15, bold=True,
                ink=company.TEAL)  # fmt: skip


def _discounts(deck: Any) -> None:
    slide = slides.page(deck, "Discount limits (do not show to customers)", hidden=True,
                        notes="Above 9 percent only the managing director may sign.")  # fmt: skip
    rows = (
        ("Who may grant", "Up to", "Condition"), ("Sales engineer", "3 %", "Complete system only"),
        ("Regional head", "6 %", "Second island of the same customer"),
        ("Head of sales", "9 %", "Three islands or more, prepayment of 40 %"),
        ("Managing director", "12 %", "Lighthouse project with open data"),
    )  # fmt: skip
    slides.table(slide, rows, 0.7, 1.8, (3.6, 1.5, 6.8), size=18, row_height=0.8)


def _rivals(deck: Any) -> None:
    slide = slides.page(deck, "How we compare with the competition",
                        notes="Only use what can be proven by public sheets.")  # fmt: skip
    rows = (
        ("", "Skerrylight", "Boreal Grid", "SunCrate", "New diesel set"),
        ("Wind and sun together", "Yes", "Wind only", "Sun only", "No"),
        ("Crane needed on the island", "No", "Yes", "No", "No"),
        ("Weeks to deliver", "27", "30", "12", "6"),
        ("Survives 70 m/s wind", "Yes, lowered", "No", "With ballast", "Yes"),
        ("Cost per kWh over 15 years", "€0.19", "€0.24", "€0.27", "€0.45"),
        ("Local crew can repair it", "Yes", "Partly", "No", "Yes"),
    )  # fmt: skip
    slides.table(slide, rows, 0.7, 1.75, (3.9, 2.1, 2.0, 2.0, 2.0), size=16, row_height=0.68)


def _objections(deck: Any) -> None:
    slide = slides.page(deck, "What customers worry about, and honest answers",
                        notes="Practise in pairs for ten minutes.")  # fmt: skip
    pairs = (
        ("“What if there is no wind for a week?”",
         "Happens every second year. Sun brings 40 percent, the generator the rest: 700 litres."),
        ("“Will it kill our birds?”",
         "3 strikes a year on 61 islands. Rotors pause in migration weeks; a warden counts."),
        ("“We cannot pay that at once.”",
         "Energy contract: nothing up front, 0.21 per kWh for 15 years, then it is yours."),
        ("“Who comes when it breaks?”",
         "Two trained neighbours first, our remote desk in 15 minutes, a crew in 72 hours."),
    )  # fmt: skip
    for index, (worry, answer) in enumerate(pairs):
        y = 1.7 + index * 1.3
        slides.shape(slide, "round", 0.7, y, 4.4, 1.1, worry, fill=company.SAND, size=16, bold=True)
        slides.shape(slide, "round", 5.3, y, 7.3, 1.1, answer, size=16)


def _campaign(deck: Any) -> None:
    slide = slides.page(deck, "Marketing calendar: fairs, films and visits",
                        notes="Budget for the year is 610,000 euros; fairs take half.")  # fmt: skip
    events = (
        ("Feb", "Film\n“A winter\non Vessay”"), ("Apr", "Island Energy\nFair, Lisbon"),
        ("Jun", "Mayors' visit\nto Santa Brisa"), ("Aug", "Hurricane\nguide mailing"),
        ("Oct", "Pacific Forum\nstand, Suva"), ("Dec", "Yearbook of\n75 islands"),
    )  # fmt: skip
    slides.line(slide, 0.9, 3.35, 12.5, 3.35, ink=company.TEAL, width=4)
    for index, (month, what) in enumerate(events):
        x = 0.9 + index * 1.98
        slides.shape(slide, "oval", x + 0.45, 2.9, 0.9, 0.9, month, fill=company.TEAL,
                     ink=company.WHITE, size=14, bold=True)  # fmt: skip
        slides.shape(slide, "round", x, 4.1, 1.8, 1.25, what, size=14)
    slides.text(slide, "Leads wanted: 180 enquiries, 60 site surveys, 20 signed systems",
                0.9, 5.9, 11.6, 0.5, size=18, bold=True, ink=company.CORAL)  # fmt: skip
    slides.text(slide, "One message all year: lights on, diesel off", 0.9, 1.75, 11.6, 0.5, size=20)


def _targets(deck: Any) -> None:
    slide = slides.page(deck, "Targets for 2026 by region",
                        notes="Bonus is paid on the region, not on the person.")  # fmt: skip
    slides.chart(slide, "bar", "Revenue target 2026 against result 2025, EUR million",
                 company.REGIONS, {"2025": company.REGION_REVENUE_2025,
                                   "Target 2026": company.REGION_TARGET_2026},
                 0.6, 1.6, 7.4, 5.2)  # fmt: skip
    rows = (
        ("Region", "Lead", "Target"), ("North Atlantic", "E. Thorsen", "21.0"),
        ("Mediterranean", "G. Ruggeri", "17.5"), ("Caribbean", "D. Baptiste", "15.5"),
        ("Pacific", "L. Kahale", "11.0"), ("All", "", "65.0"),
    )  # fmt: skip
    slides.table(slide, rows, 8.4, 2.1, (1.8, 1.55, 1.0), size=14, row_height=0.6)
