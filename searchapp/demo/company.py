"""Facts, figures and colours of the imaginary company; knows no file format."""

from dataclasses import dataclass

NAME = "Skerrylight"
LEGAL_NAME = "Skerrylight Energy AS"
TRADE = "Wind-and-solar micro-grids for islands"
TOWN = "Port Ansel"
FOUNDED = 2011

# Hex without "#": python-pptx wants it bare, the others take "#" + colour.
NAVY = "12324A"
TEAL = "1F7A8C"
SUN = "F2A541"
CORAL = "D4573F"
GREEN = "5B8C5A"
GREY = "5B6B77"
MIST = "E6EDF0"
SAND = "F7F3EB"
WHITE = "FFFFFF"
SERIES = (TEAL, SUN, NAVY, CORAL, GREEN, GREY)

YEARS = (2021, 2022, 2023, 2024, 2025)
REVENUE = (18.4, 23.7, 31.2, 40.6, 52.8)  # EUR million
SYSTEMS_RUNNING = (17, 25, 35, 47, 61)  # at year end
DIESEL_AVOIDED = (2.1, 3.4, 5.0, 7.2, 9.6)  # million litres a year

QUARTERS = ("Q1", "Q2", "Q3", "Q4")
REVENUE_QUARTERS_2024 = (7.9, 9.4, 10.8, 12.5)
REVENUE_QUARTERS_2025 = (9.8, 12.6, 14.1, 16.3)

REGIONS = ("North Atlantic", "Mediterranean", "Caribbean", "Pacific")
REGION_REVENUE_2024 = (16.9, 11.0, 7.4, 5.3)
REGION_REVENUE_2025 = (19.6, 14.2, 11.3, 7.7)
REGION_TARGET_2026 = (21.0, 17.5, 15.5, 11.0)

SEGMENTS = ("Complete systems", "Turbines", "Service contracts", "Storage")
SEGMENT_REVENUE_2025 = (31.9, 8.4, 6.9, 5.6)

DEPARTMENTS = ("Production", "Engineering", "Field service", "Sales", "Administration", "Support")
HEADCOUNT = (78, 46, 38, 24, 16, 12)

PLAN_YEARS = (2026, 2027, 2028)
PLAN_REVENUE = (65.0, 81.0, 100.0)

# Wind speed in m/s against the electrical output of one Gannet 30 in kW.
POWER_CURVE = (
    (3, 0.4), (4, 1.5), (5, 3.4), (6, 6.1), (7, 9.8), (8, 14.6), (9, 20.1),
    (10, 25.2), (11, 28.8), (12, 30.0), (14, 30.0), (18, 30.0), (24, 30.0),
)  # fmt: skip


@dataclass(frozen=True)
class Product:
    """One thing in the catalogue; price in EUR, without tax and transport."""

    code: str
    name: str
    use: str
    rating: str
    price: int


PRODUCTS = (
    Product("GN-30", "Gannet 30", "Wind turbine", "30 kW, 18 m tilt-up mast", 96_000),
    Product("TR-12", "Tern 12", "Solar field", "12 kWp, salt-proof frames", 14_800),
    Product("ED-240", "Eider 240", "Battery container", "240 kWh, LFP cells", 118_000),
    Product("LS-2", "Lodestar 2", "Controller", "up to 12 sources", 17_500),
    Product("GB-60", "Guillemot 60", "Back-up generator", "60 kVA, biodiesel", 31_000),
)

INCOME_STATEMENT = (
    ("Revenue", 52.8, 40.6),
    ("Cost of goods and services", -33.3, -26.4),
    ("Gross profit", 19.5, 14.2),
    ("Research and development", -5.3, -4.3),
    ("Sales and marketing", -4.1, -3.4),
    ("Administration", -3.6, -3.1),
    ("Operating profit", 6.5, 3.4),
    ("Interest", -0.5, -0.4),
    ("Tax", -1.4, -0.7),
    ("Net profit", 4.6, 2.3),
)

ASSETS = (
    ("Cash", 9.8, 7.1),
    ("Trade receivables", 8.9, 7.2),
    ("Inventories", 11.7, 10.4),
    ("Buildings and machines", 14.2, 12.9),
    ("Capitalised development", 4.1, 3.6),
    ("Total assets", 48.7, 41.2),
)

LIABILITIES = (
    ("Trade payables", 6.8, 5.6),
    ("Customer prepayments", 7.5, 5.9),
    ("Bank loans", 10.2, 10.8),
    ("Warranty provisions", 2.4, 1.7),
    ("Equity", 21.8, 17.2),
    ("Total equity and liabilities", 48.7, 41.2),
)

CASH_FLOW = (
    ("Net profit", 4.6),
    ("Depreciation", 2.6),
    ("Change in provisions", 0.7),
    ("Change in working capital", -0.2),
    ("Cash from operations", 7.7),
    ("Machines and buildings", -3.4),
    ("Development", -1.0),
    ("Loan repayments", -0.6),
    ("Change in cash", 2.7),
)

# Supplied by the price of diesel landed on the island, EUR per kWh.
DIESEL_KWH_COST = (0.41, 0.36, 0.44, 0.58)
MICROGRID_KWH_COST = (0.19, 0.17, 0.18, 0.22)
