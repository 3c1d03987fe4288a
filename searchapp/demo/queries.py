"""Sample queries for the demo set, in other words than the pages use, with the page to find."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoQuery:
    """A query and the page that answers it: file name and page number from 1."""

    text: str
    filename: str
    page: int


DEMO_QUERIES = (
    DemoQuery("how do we protect equipment from a cyclone", "how-the-micro-grid-works.pptx", 7),
    DemoQuery("steps to bring the grid back up after an outage",
        "how-the-micro-grid-works.pptx", 8),
    DemoQuery("parental leave and vacation days", "first-weeks-at-skerrylight.pptx", 5),
    DemoQuery("I lost my security token", "first-weeks-at-skerrylight.pptx", 6),
    DemoQuery("expanding manufacturing capacity", "strategy-2026-2028.pptx", 7),
    DemoQuery("what if lithium cells start to burn", "safety-and-service-handbook.pdf", 5),
    DemoQuery("effect on wildlife and recycling", "annual-report-2025.pdf", 8),
    DemoQuery("how loud are the machines for the neighbours", "vessay-site-file-scan.pdf", 2),
    DemoQuery("rental contract for the farmer's field", "vessay-site-file-scan.pdf", 3),
    DemoQuery("why do customers phone us", "support-calls-by-cause.png", 1),
    DemoQuery("components we need to order again", "spare-parts-stock.png", 1),
    DemoQuery("building layout with emergency exits", "hall-1-floor-plan.png", 1),
)  # fmt: skip
