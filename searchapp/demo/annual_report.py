"""The annual report 2025; knows the year's story, takes its numbers from the shared facts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from searchapp.demo import company, sheets
from searchapp.demo.sheets import caption, gap, grid, head, items, subhead, text

TITLE = "Annual report\n2025"


def annual_report_build(path: Path) -> None:
    """Write the annual report: cover and eight pages."""
    chapters = (
        _letter(), _growth(), _regions(), _income(), _balance(), _cash(), _planet(), _outlook(),
    )  # fmt: skip
    sheets.paper_save(path, TITLE, f"{company.LEGAL_NAME}, {company.TOWN}", chapters)


def _amount(value: float) -> str:
    return f"{value:.1f}" if value >= 0 else f"({-value:.1f})"


def _statement(rows: Sequence[tuple[str, float, float]], label: str) -> list[tuple[str, ...]]:
    return [(label, "2025", "2024"), *((name, _amount(a), _amount(b)) for name, a, b in rows)]


def _letter() -> list[Any]:
    return [
        head("To our owners, islands and colleagues"),
        text("When we raised our first mast on Vessay, the ferry brought diesel twice a month "
             "and the "
             "lights went out whenever the sea was too rough. Last winter the ferry stayed in "
             "harbour "
             "for nineteen days. The island did not notice."),
        text("In 2025 we connected fourteen more islands, among them our first two atolls. Revenue "
             "rose by 30 percent to 52.8 million euros and operating profit nearly doubled to 6.5 "
             "million. For the first time, more than half of the new orders came from customers "
             "who "
             "already run one of our systems."),
        text("It was no easy year. Our blade shop could not follow demand, and customers waited 27 "
             "weeks, eight more than the year before. We lost good bids because of it. In November "
             "we decided to build a second hall."),
        text("In September, hurricane Odalys crossed six of our sites. Crews and wardens "
             "lowered 22 "
             "turbines in a day and a half. Power was back everywhere within 31 hours, and no "
             "blade "
             "was lost. I have never been prouder of this company."),
        text("Thank you for your trust, your patience and your hard questions."),
        gap(6),
        text("<b>Maren Holt</b><br/>Managing director"),
    ]  # fmt: skip


def _growth() -> list[Any]:
    years = tuple(map(str, company.YEARS))
    return [
        head("Five years at a glance"),
        sheets.bars(years, {"Revenue, EUR million": company.REVENUE}, height=180),
        caption("Figure 1. Revenue has grown by 30 percent a year on average."),
        gap(4),
        sheets.bars(years, {"Systems running at year end": company.SYSTEMS_RUNNING}, height=160,
                    number_format="%d"),
        caption("Figure 2. Islands supplied. No system has ever been taken down."),
        grid((("Key figure", "2025", "2024", "Change"),
            ("Orders received, EUR million", "61.7", "46.2", "+34 %"),
              ("Order backlog, EUR million", "38.5", "29.6", "+30 %"),
              ("Employees at year end", "214", "171", "+25 %")),
             (4, 1.4, 1.4, 1.4), numbers=True),
    ]  # fmt: skip


def _regions() -> list[Any]:
    return [
        head("Where the money came from"),
        sheets.bars(company.REGIONS, {"2024": company.REGION_REVENUE_2024,
                                      "2025": company.REGION_REVENUE_2025}, height=190),
        caption("Figure 3. Revenue by region in EUR million."),
        text("The North Atlantic is still our largest market, but its share fell from 42 to 37 "
             "percent. The Caribbean grew by more than half after four repeat orders; the Pacific "
             "started from two atolls in the Motu group."),
        subhead("By line of business, EUR million"),
        sheets.pie(company.SEGMENTS, company.SEGMENT_REVENUE_2025, height=170),
        text("Service contracts are small but steady: 52 of 61 systems are covered and only one "
             "contract was not renewed."),
    ]  # fmt: skip


def _income() -> list[Any]:
    table = grid(_statement(company.INCOME_STATEMENT, "EUR million"), (4, 1.4, 1.4), numbers=True)
    return [
        head("Income statement"),
        sheets.totals(table, (3, 7, 10)),
        text("<b>Revenue</b> is recognised when a system passes its 72-hour acceptance run on the "
             "island; service is spread evenly over the contract."),
        text("<b>Gross margin</b> improved from 35.0 to 36.9 percent. Cheaper battery cells "
             "brought "
             "2.6 points; overtime in blade moulding and air freight took 0.7 back."),
        text("<b>Research</b> of 5.3 million is 10 percent of revenue. A further 1.0 million "
             "for the "
             "Gannet 55 was capitalised."),
        text("<b>Tax</b> is 23 percent of the profit before tax, the usual rate in our country."),
    ]  # fmt: skip


def _balance() -> list[Any]:
    assets = grid(_statement(company.ASSETS, "Assets, EUR million"), (4, 1.4, 1.4), numbers=True)
    debts = grid(_statement(company.LIABILITIES, "Equity and liabilities, EUR million"),
                 (4, 1.4, 1.4), numbers=True)  # fmt: skip
    return [
        head("Balance sheet at 31 December"),
        sheets.totals(assets, (6,)),
        gap(4),
        sheets.totals(debts, (6,)),
        text("Equity is 45 percent of the total (2024: 42 percent). Bank loans carry a fixed "
             "rate of "
             "4.7 percent until 2029. Warranty provisions were raised by 0.7 million because of "
             "blade "
             "edge repairs on machines built in 2022."),
    ]  # fmt: skip


def _cash() -> list[Any]:
    rows = [("EUR million", "2025"), *((name, _amount(value)) for name, value in company.CASH_FLOW)]
    return [
        head("Cash flow"),
        sheets.totals(grid(rows, (5, 1.6), numbers=True), (5, 9)),
        text("Cash rose from 7.1 to 9.8 million. Customers paid 1.6 million more in advance, which "
             "paid for higher stocks of cells and steel. All investment came out of our own "
             "earnings."),
        subhead("Revenue by quarter, EUR million"),
        sheets.bars(company.QUARTERS, {"2024": company.REVENUE_QUARTERS_2024,
                                       "2025": company.REVENUE_QUARTERS_2025}, height=150),
        caption("Figure 4. The year ends strong, as crews install before the winter storms."),
    ]  # fmt: skip


def _planet() -> list[Any]:
    return [
        head("People and nature"),
        text("Our systems kept 9.6 million litres of diesel from being burnt. That is 25,700 "
             "tonnes "
             "of carbon dioxide, or 400 road tankers that no ship had to land on a beach."),
        sheets.bars(tuple(map(str, company.YEARS)),
                    {"Diesel avoided, million litres": company.DIESEL_AVOIDED}, height=140),
        subhead("Birds and bats"),
        text("Wardens counted 3 dead birds and no bats at 61 sites. Rotors pause for 160 hours "
             "a year "
             "in the migration weeks, at a cost of 1.1 percent of the yield."),
        subhead("End of life"),
        text("Blades of flax and glass are ground and go into cement. Used cells get a second "
             "life in "
             "harbour lights; 94 percent of the weight of a system can be recycled."),
        subhead("Our people"),
        grid((("", "2025", "2024"), ("Women in the workforce", "38 %", "35 %"),
              ("Apprentices", "12", "9"), ("Staff turnover", "5.1 %", "6.4 %"),
              ("Injuries with lost days", "2", "3"), ("Training days per person", "6.5", "5.2")),
             (4, 1.2, 1.2), numbers=True),
    ]  # fmt: skip


def _outlook() -> list[Any]:
    return [
        head("Outlook and main risks"),
        text("For 2026 we expect revenue of 65 million euros and an operating profit of about 8 "
             "million. Investment rises to 11 million for Hall 2. No dividend is proposed."),
        subhead("What could go wrong"),
        items((
            "<b>Supply.</b> One maker delivers all our cells; a second is being tested.",
            "<b>Weather.</b> Storms can hit several sites in one season. Pooled insurance covers "
            "up to 5 million per event.",
            "<b>Interest.</b> Island councils borrow for 15 years. One point more on the rate "
            "makes "
            "a kilowatt-hour 1.4 cents dearer.",
            "<b>Currency.</b> A fifth of revenue is in US dollars; half of it is hedged.",
            "<b>Cyber attack.</b> Remote control is tested by outside experts each year.",
        )),
        subhead("Auditor's opinion (extract)"),
        text("In our opinion the accounts give a true and fair view of the financial position "
             "at 31 "
             "December 2025 and of the result for the year. <i>Kittel &amp; Rowe, chartered "
             "accountants, 27 February 2026.</i>"),
        subhead("Calendar"),
        grid((("Date", "Event"), ("22 April 2026", "General meeting, Port Ansel boat shed"),
              ("27 August 2026", "Half-year figures"), ("3 March 2027", "Annual report 2026")),
              (2, 5)),
    ]  # fmt: skip
