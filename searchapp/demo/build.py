"""Makes the demo set: the files of one imaginary company; knows nothing of the database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from searchapp.demo import charts, company, drawings, mockups, scans
from searchapp.demo.annual_report import annual_report_build
from searchapp.demo.deck_engineering import engineering_build
from searchapp.demo.deck_onboarding import onboarding_build
from searchapp.demo.deck_sales import sales_build
from searchapp.demo.deck_strategy import strategy_build
from searchapp.demo.handbook import handbook_build


@dataclass(frozen=True)
class DemoFile:
    """One file of the demo set, ready to upload."""

    path: Path
    title: str
    tags: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Recipe:
    name: str
    title: str
    tags: tuple[str, ...]
    department: str
    year: str
    build: Callable[[Path], None]


RECIPES = (
    _Recipe("strategy-2026-2028.pptx", "Strategy 2026-2028", ("strategy", "board"),
            "Management", "2026", strategy_build),
    _Recipe("how-the-micro-grid-works.pptx", "How the micro-grid works", ("engineering", "product"),
            "Engineering", "2025", engineering_build),
    _Recipe("sales-kick-off-2026.pptx", "Sales kick-off 2026", ("sales", "marketing"),
            "Sales", "2026", sales_build),
    _Recipe("first-weeks-at-skerrylight.pptx", "Your first weeks at Skerrylight",
        ("people", "onboarding"),
            "Finance and people", "2026", onboarding_build),
    _Recipe("safety-and-service-handbook.pdf", "Safety and service handbook", ("safety", "service"),
            "Field service", "2026", handbook_build),
    _Recipe("annual-report-2025.pdf", "Annual report 2025", ("finance", "report"),
            "Finance and people", "2025", annual_report_build),
    _Recipe("vessay-site-file-scan.pdf", "Vessay site file 2018-2019 (scan)", ("archive", "scan"),
            "Field service", "2019", scans.scan_build),
    _Recipe("support-calls-by-cause.png", "Support calls by cause, 2025", ("support", "chart"),
            "Support", "2025", charts.tickets_bar),
    _Recipe("help-desk-busy-hours.png", "When the help desk is busiest", ("support", "chart"),
            "Support", "2025", charts.calls_heat),
    _Recipe("palmetto-cay-diesel.png", "Palmetto Cay: diesel burnt each month",
        ("results", "chart"),
            "Field service", "2025", charts.diesel_line),
    _Recipe("santa-brisa-summer-day.png", "A summer day on Santa Brisa", ("engineering", "chart"),
            "Engineering", "2025", charts.day_area),
    _Recipe("enquiry-sources.png", "Where new enquiries came from", ("marketing", "chart"),
            "Sales", "2025", charts.leads_pie),
    _Recipe("blade-wear.png", "Blade edge wear and salt spray", ("engineering", "chart"),
            "Engineering", "2025", charts.wear_scatter),
    _Recipe("spare-parts-stock.png", "Spare parts in stock", ("service", "table"),
            "Field service", "2026", drawings.stock_table),
    _Recipe("remote-monitoring-diagram.png", "Remote monitoring: data path",
        ("engineering", "diagram"),
            "Engineering", "2025", drawings.network_diagram),
    _Recipe("hall-1-floor-plan.png", "Hall 1 floor plan and escape routes", ("safety", "plan"),
            "Production", "2024", drawings.floor_plan),
    _Recipe("vessay-site-map.png", "Vessay site map", ("engineering", "map"),
            "Engineering", "2024", drawings.island_map),
    _Recipe("lodestar-app-overview.png", "Lodestar app, overview screen", ("product", "screenshot"),
            "Engineering", "2025", mockups.app_screen),
    _Recipe("lisbon-fair-poster.png", "Poster for the Island Energy Fair", ("marketing", "poster"),
            "Sales", "2026", mockups.fair_poster),
    _Recipe("invoice-palmetto-cay.jpg", "Invoice 2025-0188 (photo)", ("finance", "photo"),
            "Finance and people", "2025", mockups.invoice_photo),
)  # fmt: skip


def demo_build(target: Path) -> tuple[DemoFile, ...]:
    """Write all files into `target`, made if missing; every build gives the same bytes.

    Raises OSError when the folder cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    return tuple(_made(recipe, target / recipe.name) for recipe in RECIPES)


def _made(recipe: _Recipe, path: Path) -> DemoFile:
    recipe.build(path)
    metadata = {"company": company.NAME, "department": recipe.department, "year": recipe.year}
    return DemoFile(path, recipe.title, recipe.tags, metadata)
