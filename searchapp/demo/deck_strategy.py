"""The board's strategy deck; knows the plan, not how shapes are drawn."""

from pathlib import Path
from typing import Any

from searchapp.demo import company, slides
from searchapp.demo.deck_file import deck_new, deck_save

TITLE = "Strategy 2026-2028"


def strategy_build(path: Path) -> None:
    """Write the strategy deck: 10 slides, slide 9 hidden."""
    deck = deck_new(TITLE, "Board meeting, January 2026")
    slides.cover(
        deck,
        "Strategy 2026-2028",
        "From 61 islands to 140\nBoard meeting, 15 January 2026",
        "Welcome the two new board members. Forty minutes for the talk, twenty for questions.",
    )
    for add in (_position, _market, _moves, _plan, _roadmap, _factory, _risks, _option, _decisions):
        add(deck)
    deck_save(deck, path)


def _position(deck: Any) -> None:
    slide = slides.page(
        deck,
        "Where we stand at the end of 2025",
        notes="The order backlog covers seven months of production. Name the service team first: "
        "no installed system was dark for more than 31 hours last year.",
    )
    cards = (
        ("€52.8m", "revenue, +30 % on 2024"), ("12.3 %", "operating margin"),
        ("61", "island systems running"), ("€38.5m", "order backlog"),
    )  # fmt: skip
    for index, (figure, label) in enumerate(cards):
        slides.card(slide, figure, label, 0.7 + index * 3.05, 1.75, 2.8)
    slides.bullets(
        slide,
        (
            "Third year in a row of growth at or above 30 percent, paid for by our own cash",
            "Service contracts now cover 52 of 61 systems and bring 13 percent of revenue",
            "Weak spot: lead time rose from 19 to 27 weeks because blade moulding is full",
            "Weak spot: two customers in the North Atlantic make up 21 percent of revenue",
        ),
        0.7, 3.85, 11.9,
    )  # fmt: skip


def _market(deck: Any) -> None:
    slide = slides.page(
        deck,
        "Diesel power costs islands twice as much as ours",
        notes="Costs are for a community of 400 people, fuel landed by ship, financed over "
        "15 years at 6 percent. Source: our own bids of 2025.",
    )
    slides.chart(
        slide, "column", "Cost of one kilowatt-hour, EUR", company.REGIONS,
        {"Diesel generators": company.DIESEL_KWH_COST,
         "Skerrylight micro-grid": company.MICROGRID_KWH_COST},
        0.6, 1.6, 7.6, 5.2, number_format="0.00",
    )  # fmt: skip
    slides.bullets(
        slide,
        (
            "2,300 inhabited islands still burn diesel for most of their electricity",
            "About 640 of them have the wind, the size and the finance for our system",
            "Fuel subsidies end in 11 countries before 2029",
            "Banks now lend against 15-year power purchase contracts",
        ),
        8.5, 1.9, 4.3, size=17,
    )  # fmt: skip


def _moves(deck: Any) -> None:
    slide = slides.page(deck, "Three moves carry the plan",
                        notes="One owner per move, no shared ownership.")  # fmt: skip
    moves = (
        ("1  Build faster", "Second blade mould and a new hall in Port Ansel\n\n"
         "Lead time from 27 to 14 weeks\n\nOwner: Ines Marrow, Production", company.TEAL),
        ("2  Sell power, not boxes", "Fifteen-year energy contracts with a finance partner\n\n"
         "A third of new systems by 2028\n\nOwner: Tomas Brandt, Finance", company.NAVY),
        ("3  Win the Pacific", "Assembly hub with local crews on one central atoll\n\n"
         "Revenue from 7.7 to 24 million\n\nOwner: Leilani Kahale, Sales", company.GREEN),
    )  # fmt: skip
    for index, (name, content, fill) in enumerate(moves):
        x = 0.7 + index * 4.1
        slides.shape(slide, "round", x, 1.8, 3.75, 0.9, name, fill=fill,
                     ink=company.WHITE, size=19, bold=True)  # fmt: skip
        slides.shape(slide, "round", x, 2.85, 3.75, 2.75, content, size=16)
    slides.shape(slide, "step", 0.7, 5.9, 11.95, 0.8,
                 "140 islands with clean power and €100m revenue in 2028",
                 fill=company.SUN, size=19, bold=True)  # fmt: skip


def _plan(deck: Any) -> None:
    slide = slides.page(deck, "Revenue nearly doubles in three years",
                        notes="The plan needs no new equity. Downside case: 84 million in 2028 "
                        "if energy contracts start one year late.")  # fmt: skip
    years = [str(year) for year in (*company.YEARS, *company.PLAN_YEARS)]
    values = (*company.REVENUE, *company.PLAN_REVENUE)
    slides.chart(slide, "line", "Revenue in EUR million, 2026 to 2028 planned", years,
                 {"Revenue": values}, 0.6, 1.6, 6.9, 5.2)  # fmt: skip
    rows = (
        ("EUR million", "2025", "2026", "2027", "2028"),
        ("Revenue", "52.8", "65.0", "81.0", "100.0"),
        ("Gross margin %", "36.9", "37.5", "38.5", "39.0"),
        ("Operating profit", "6.5", "8.1", "11.3", "15.0"),
        ("Investment", "4.4", "11.0", "6.5", "5.0"),
    )  # fmt: skip
    slides.table(slide, rows, 7.7, 2.0, (1.75, 0.8, 0.8, 0.8, 0.85), size=13, row_height=0.65)


def _roadmap(deck: Any) -> None:
    slide = slides.page(deck, "Product roadmap: what ships when",
                        notes="Gannet 55 keeps the mast foundation of Gannet 30.")  # fmt: skip
    for index, name in enumerate(f"{half} {year}" for year in company.PLAN_YEARS
                                 for half in ("H1", "H2")):  # fmt: skip
        x = 3.4 + index * 1.55
        slides.text(slide, name, x, 1.6, 1.55, 0.4, size=14, bold=True, align="center")
        slides.line(slide, x, 2.05, x, 6.7, ink="D9E1E5", width=1)
    lanes = (
        ("Wind", ((0, 2, "Gannet 30 quiet blades", company.TEAL),
                  (2, 3, "Gannet 55 prototype and type test", company.NAVY),
                  (5, 1, "Gannet 55 sale", company.CORAL))),
        ("Solar", ((0, 1, "Tern 12 floating", company.TEAL),
         (2, 2, "Tern shade roof", company.NAVY))),
        ("Storage", ((1, 2, "Eider 480 double stack", company.TEAL),
                     (4, 2, "Sodium cells trial", company.NAVY))),
        ("Control", ((0, 2, "Lodestar 3 with weather forecast", company.TEAL),
                     (3, 2, "Desalination scheduling", company.NAVY))),
    )  # fmt: skip
    for row, (lane, items) in enumerate(lanes):
        y = 2.25 + row * 1.1
        slides.shape(slide, "round", 0.7, y, 2.4, 0.85, lane, size=17, bold=True)
        for start, length, name, fill in items:
            slides.shape(slide, "round", 3.45 + start * 1.55, y, length * 1.55 - 0.1, 0.85, name,
                         fill=fill, ink=company.WHITE, size=13)  # fmt: skip


def _factory(deck: Any) -> None:
    slide = slides.page(deck, "A second hall removes the bottleneck",
                        notes="Planning permission was granted on 2 December 2025.")  # fmt: skip
    slides.chart(slide, "bar", "Weeks of waiting by production step",
                 ("Final test", "Battery fitting", "Control cabinets", "Masts", "Blade moulding"),
                 {"Weeks": (1.5, 3.0, 2.5, 4.0, 16.0)}, 0.6, 1.6, 6.4, 5.2)  # fmt: skip
    slides.bullets(
        slide,
        (
            "Blade moulding runs in two shifts and still makes only 48 sets a year",
            "Hall 2: 3,200 square metres beside the quay, ready in March 2027",
            "Cost 7.8 million: building 4.6, second mould and oven 3.2",
            "Pays back in 3.1 years at 80 sets a year; 34 new jobs",
        ),
        7.4, 1.9, 5.3,
    )  # fmt: skip


def _risks(deck: Any) -> None:
    slide = slides.page(deck, "Risks we watch and what we do about them",
                        notes="Cell supply moved up from fifth to first place since the last "
                        "meeting.")  # fmt: skip
    rows = (
        ("Risk", "Likelihood", "Damage", "Early sign", "Our answer"),
        ("Battery cells from one supplier", "High", "€6m", "Delivery slips past 4 weeks",
         "Qualify a second maker by June"),
        ("Hurricane hits several sites", "Medium", "€3m", "Season forecast above average",
         "Tilt masts down, pooled insurance"),
        ("Interest rates rise again", "Medium", "€4m", "Island loans delayed",
         "Fixed-rate frame with two banks"),
        ("Skilled crews leave", "Low", "€2m", "Notice rate above 8 %",
         "Crew shares, shorter rotations"),
        ("Break-in to remote control", "Low", "€5m", "Failed sign-ins grow",
         "Hardware keys, yearly attack test"),
    )  # fmt: skip
    slides.table(slide, rows, 0.7, 1.7, (3.0, 1.3, 1.1, 3.1, 3.4), size=14, row_height=0.78)


def _option(deck: Any) -> None:
    slide = slides.page(
        deck,
        "Back-up: buying a battery integrator",
        hidden=True,
        notes="Confidential. Show only if the board asks about takeovers.",
    )
    slides.bullets(
        slide,
        (
            "Candidate: Fulmar Storage, 42 people, revenue 9 million, small loss",
            "Asking price 11 to 13 million; we would pay half in shares",
            "Gains: own cell testing, fire certificates, six months on Eider 480",
            "Against: two sites 900 km apart, overlapping sales teams",
            "Recommendation: licence the test bench first, decide again in 2027",
        ),
        0.7, 1.8, 11.8, size=20,
    )  # fmt: skip


def _decisions(deck: Any) -> None:
    slide = slides.page(deck, "What we ask the board to decide today",
                        notes="Vote on each point on its own.")  # fmt: skip
    asks = (
        ("A", "Release 7.8 million for Hall 2, in two parts with a gate in September 2026"),
        ("B", "Approve a joint energy-contract company with Harbourstone Bank, our share 40 "
              "percent"),
        ("C", "Open a Pacific hub with up to 18 people, first lease for three years"),
        ("D", "Pay no dividend for 2025 and keep 4.6 million in the company"),
    )  # fmt: skip
    for index, (letter, ask) in enumerate(asks):
        y = 1.75 + index * 1.25
        slides.shape(slide, "oval", 0.8, y, 0.9, 0.9, letter, fill=company.TEAL,
                     ink=company.WHITE, size=24, bold=True)  # fmt: skip
        slides.text(slide, ask, 2.0, y + 0.2, 10.6, 0.6, size=20)
