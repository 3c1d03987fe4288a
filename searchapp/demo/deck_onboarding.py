"""The deck for new colleagues; knows the rules of work, not how shapes are drawn."""

from pathlib import Path
from typing import Any

from searchapp.demo import company, slides
from searchapp.demo.deck_file import deck_new, deck_save

TITLE = "Your first weeks at Skerrylight"


def onboarding_build(path: Path) -> None:
    """Write the onboarding deck: 8 slides, none hidden."""
    deck = deck_new(TITLE, "For everyone who starts with us")
    slides.cover(
        deck,
        "Your first weeks at Skerrylight",
        "For everyone who starts with us",
        "Give every newcomer the printed harbour map and a life jacket in the right size.",
    )
    for add in (_welcome, _week, _people, _leave, _computer, _pay, _help):
        add(deck)
    deck_save(deck, path)


def _welcome(deck: Any) -> None:
    slide = slides.page(deck, "Who we are: 214 people in love with islands",
                        notes="Half of us live on an island.")  # fmt: skip
    slides.chart(slide, "bar", "People by department, end of 2025", company.DEPARTMENTS[::-1],
                 {"People": company.HEADCOUNT[::-1]}, 0.6, 1.6, 6.6, 5.2,
                 number_format="0")  # fmt: skip
    slides.bullets(
        slide,
        (
            "Founded in 2011 in a boat shed by two sailors and a grid engineer",
            "31 nationalities, company language English",
            "Three values: leave it cleaner, say it early, train a neighbour",
            "38 percent women, 12 apprentices, average age 39",
        ),
        7.5, 1.9, 5.2,
    )  # fmt: skip


def _week(deck: Any) -> None:
    slide = slides.page(deck, "Your first week, day by day",
                        notes="The buddy is named before the first day.")  # fmt: skip
    rows = (
        ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
        ("Morning", "Breakfast, badge,\nlaptop, tour", "Safety course\nand fire drill",
         "Factory: lay up\na blade", "Sea survival\nin the pool", "Meet the\nfounders"),
        ("Noon", "Lunch with\nyour buddy", "Canteen", "Canteen", "Soup at the\nharbour",
         "Team lunch"),
        ("Afternoon", "Accounts and\npasswords", "Your team's\nwork explained",
         "Listen in at\nthe help desk",
         "Free to read", "Talk with your\nlead: first goals"),
    )  # fmt: skip
    slides.table(
        slide, rows, 0.7, 1.8, (1.5, 2.08, 2.08, 2.08, 2.08, 2.08), size=15, row_height=1.1
    )


def _people(deck: Any) -> None:
    slide = slides.page(deck, "Organisation chart: who leads what",
                        notes="Every door is open on Friday afternoons.")  # fmt: skip
    slides.shape(slide, "round", 4.9, 1.7, 3.5, 1.0, "Maren Holt\nManaging director",
                 fill=company.NAVY, ink=company.WHITE, size=16, bold=True)  # fmt: skip
    leads = (
        ("Ines Marrow", "Production", "Blades\nMasts\nFinal test"),
        ("Ravi Odell", "Engineering", "Turbine\nBattery\nControl"),
        ("Freya Lund", "Field service", "Installation\nService crews\nSpare parts"),
        ("Leilani Kahale", "Sales", "Four regions\nMarketing\nBids"),
        ("Tomas Brandt", "Finance and people", "Accounts\nHuman resources\nPurchasing"),
        ("Aldo Ferro", "Support", "Help desk\nTraining\nManuals"),
    )  # fmt: skip
    slides.line(slide, 6.65, 2.7, 6.65, 3.1)
    slides.line(slide, 1.6, 3.1, 11.7, 3.1)
    for index, (name, area, teams) in enumerate(leads):
        x = 0.7 + index * 2.02
        slides.line(slide, x + 0.9, 3.1, x + 0.9, 3.5)
        slides.shape(slide, "round", x, 3.5, 1.85, 1.05, f"{name}\n{area}", fill=company.TEAL,
                     ink=company.WHITE, size=13, bold=True)  # fmt: skip
        slides.shape(slide, "round", x, 4.75, 1.85, 1.5, teams, size=14)


def _leave(deck: Any) -> None:
    slide = slides.page(deck, "Holidays, sick days and family time",
                        notes="Ask early; crews plan eight weeks ahead.")  # fmt: skip
    rows = (
        ("What", "How much", "How to get it"),
        ("Paid holiday", "28 days a year, 5 may move to next year",
         "Ask your lead two weeks before"),
        ("Illness", "Full pay for 12 weeks", "Call before 9:00; doctor's note from day 4"),
        ("New child", "26 weeks on full pay for each parent", "Tell us three months before"),
        ("Caring for family", "10 days a year", "Same-day message is enough"),
        ("Moving house, wedding, funeral", "2 days each", "Tell your lead"),
        ("Volunteering on an island", "3 days a year", "Form in the staff portal"),
    )  # fmt: skip
    slides.table(slide, rows, 0.7, 1.75, (3.5, 4.5, 3.9), size=15, row_height=0.66)


def _computer(deck: Any) -> None:
    slide = slides.page(deck, "Your computer, accounts and passwords",
                        notes="Nobody from us will ever ask for a password.")  # fmt: skip
    slides.bullets(
        slide,
        (
            "Laptop, phone and hardware key are handed out on Monday at 13:00 in room 0.12",
            "Sign in with the hardware key; it replaces the password for mail, files and Lodestar",
            "Key lost? Call 4400 at once, day and night: we lock it within five minutes",
            "Customer drawings stay on the company drive, never on private clouds or sticks",
            "Strange mail? Press Report. Better ten false alarms than one open door",
            "On board and on islands use the satellite hotspot, not open harbour networks",
        ),
        0.7, 1.8, 11.9, size=19,
    )  # fmt: skip


def _pay(deck: Any) -> None:
    slide = slides.page(deck, "Pay, pension and extras",
                        notes="Questions about the payslip: Nora in room 1.07.")  # fmt: skip
    cards = (("25th", "salary is paid each month"), ("9 %", "of pay into your pension"),
             ("€85", "a day in field allowance"), ("€600", "a year for learning"))  # fmt: skip
    for index, (figure, label) in enumerate(cards):
        slides.card(slide, figure, label, 0.7 + index * 3.05, 1.75, 2.8)
    slides.bullets(
        slide,
        (
            "Travel costs: photograph the receipt, the money is back within 10 days",
            "Bicycle or ferry pass is paid by the company, parking is not",
            "Working from home: up to two days a week where the task allows it",
            "Share plan after one year: three months of pay, at a fifth below value",
        ),
        0.7, 3.85, 11.9,
    )  # fmt: skip


def _help(deck: Any) -> None:
    slide = slides.page(deck, "Whom to ask when you are stuck",
                        notes="Confidential contact is outside the line of command.")  # fmt: skip
    contacts = (
        ("Anything at all", "your buddy"), ("Contract, leave, payslip", "Nora Vik, 4410"),
        ("Laptop, keys, phone", "IT desk, 4400"), ("Something unsafe", "Freya Lund, 4455"),
        ("Bullying or harassment", "Confidential contact\nDr Amara Osei, 4499"),
        ("Emergency", "112, then gate 4000"),
    )  # fmt: skip
    for index, (topic, person) in enumerate(contacts):
        x, y = 0.7 + (index % 3) * 4.1, 1.8 + (index // 3) * 2.5
        urgent = topic == "Emergency"
        slides.shape(slide, "round", x, y, 3.75, 0.75, topic,
            fill=company.CORAL if urgent else company.TEAL,
                     ink=company.WHITE, size=17, bold=True)  # fmt: skip
        slides.shape(slide, "round", x, y + 0.85, 3.75, 1.2, person, size=19)
