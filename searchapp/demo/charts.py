"""Standalone chart pictures (matplotlib); each function draws and saves one of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from searchapp.demo import company

SERIES = tuple("#" + value for value in company.SERIES)
INK = "#" + company.NAVY
SOFT = "#" + company.GREY
# matplotlib writes its version into PNG files unless told otherwise.
NO_VERSION = {"Software": None}


def _figure(title: str, subtitle: str) -> tuple[Any, Any]:
    figure = Figure(figsize=(11, 6.6), dpi=120, facecolor="white")
    axes = figure.add_axes((0.09, 0.13, 0.86, 0.66))
    figure.text(0.04, 0.92, title, fontsize=19, fontweight="bold", color=INK)
    figure.text(0.04, 0.865, subtitle, fontsize=12, color=SOFT)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(SOFT)
    axes.tick_params(length=0, labelsize=12, labelcolor=INK)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    figure.text(0.96, 0.025, company.NAME, fontsize=10, color=SOFT, ha="right")
    figure.savefig(path, metadata=NO_VERSION if path.suffix == ".png" else None)


def tickets_bar(path: Path) -> None:
    """Horizontal bars: why customers rang the support desk."""
    causes = ("Lost internet link", "Dirty solar rows", "Fan filter blocked", "Blade edge worn",
              "App sign-in", "Question on bill", "Generator start")  # fmt: skip
    calls = (214, 163, 148, 96, 88, 61, 37)
    figure, axes = _figure(
        "Support calls by cause, 2025", "807 calls from 61 islands; each counted once"
    )
    axes.set_position((0.2, 0.13, 0.75, 0.66))
    drawn = axes.barh(causes[::-1], calls[::-1], color=SERIES[0], height=0.62)
    drawn[-1].set_color(SERIES[3])
    axes.bar_label(drawn, padding=6, fontsize=12, color=INK)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    _save(figure, path)


def diesel_line(path: Path) -> None:
    """A line: fuel burnt on one island before and after the change."""
    months = np.arange(24)
    names = ("Jan 2024", "Apr", "Jul", "Oct", "Jan 2025", "Apr", "Jul", "Oct")
    litres = (31, 29, 27, 24, 22, 21, 23, 24, 23, 25, 28, 30,
              30, 24, 15, 8, 5, 4, 5, 6, 4, 4, 6, 7)  # fmt: skip
    figure, axes = _figure("Palmetto Cay: diesel burnt each month",
                           "Thousand litres; the micro-grid was switched on in February "
                           "2025")  # fmt: skip
    axes.plot(months, litres, color=SERIES[0], linewidth=3, marker="o", markersize=6)
    axes.axvline(13, color=SERIES[3], linestyle="--", linewidth=1.5)
    axes.text(13.3, 30.5, "Switch-on", color=SERIES[3], fontsize=13, fontweight="bold")
    axes.set_xticks(months[::3], names)
    axes.set_ylabel("Thousand litres", fontsize=12, color=SOFT)
    axes.set_ylim(0, 34)
    axes.grid(axis="y", color="#D9E1E5")
    _save(figure, path)


def leads_pie(path: Path) -> None:
    """A pie: where new enquiries came from."""
    sources = ("Recommended by\nanother island", "Trade fairs", "Web search", "Development banks",
               "Press and film")  # fmt: skip
    figure, axes = _figure(
        "Where new enquiries came from, 2025", "Share of 152 first contacts, percent"
    )
    axes.set_position((0.2, 0.04, 0.6, 0.78))
    _, labels, shares = axes.pie((38, 24, 17, 13, 8), labels=sources, colors=SERIES, startangle=90,
                                 counterclock=False, autopct="%d %%", pctdistance=0.72,
                                 wedgeprops={"edgecolor": "white", "linewidth": 2})  # fmt: skip
    for label in labels:
        label.set(fontsize=13, color=INK)
    for share in shares:
        share.set(fontsize=13, color="white", fontweight="bold")
    _save(figure, path)


def wear_scatter(path: Path) -> None:
    """A scatter: blade wear against salt spray, one dot for each turbine."""
    random = np.random.default_rng(30)
    days = random.uniform(20, 210, 84)
    wear = 0.35 + 0.0105 * days + random.normal(0, 0.28, 84)
    taped = random.random(84) < 0.4
    wear = np.clip(np.where(taped, wear * 0.45, wear), 0.1, None)
    figure, axes = _figure("Blade edges wear faster where salt spray is frequent",
                           "84 turbines after three years; edge tape more than halves the "
                           "wear")  # fmt: skip
    for mask, fill, name in (
        (~taped, SERIES[3], "Bare edge"),
        (taped, SERIES[0], "With edge tape"),
    ):
        axes.scatter(days[mask], wear[mask], s=75, color=fill, alpha=0.8, label=name, linewidth=0)
    axes.set_xlabel("Days with salt spray in a year", fontsize=12, color=SOFT)
    axes.set_ylabel("Material lost, mm", fontsize=12, color=SOFT)
    axes.grid(color="#E6EDF0")
    axes.legend(frameon=False, fontsize=13, loc="upper left")
    _save(figure, path)


def day_area(path: Path) -> None:
    """Stacked areas: which source supplied an island through one summer day."""
    hours = np.linspace(0, 24, 97)
    demand = 62 + 14 * np.exp(-((hours - 8) ** 2) / 5) + 30 * np.exp(-((hours - 20) ** 2) / 7)
    solar = np.clip(np.sin((hours - 6) / 13 * np.pi), 0, None) * 66 * ((hours > 6) & (hours < 19))
    wind = 34 + 9 * np.sin(hours / 3.7)
    solar_used = np.minimum(solar, demand - wind)
    battery = demand - wind - solar_used
    figure, axes = _figure("A summer day on Santa Brisa, hour by hour",
                           "Power in kW by source, 14 July 2025; the generator did not "
                           "run")  # fmt: skip
    axes.stackplot(hours, wind, solar_used, battery, labels=("Wind", "Solar", "Battery"),
                   colors=(SERIES[0], SERIES[1], SERIES[4]))  # fmt: skip
    axes.plot(hours, demand, color=INK, linewidth=2.5, label="Demand")
    axes.set_xlim(0, 24)
    axes.set_xticks(range(0, 25, 4), [f"{hour:02d}:00" for hour in range(0, 25, 4)])
    axes.set_ylabel("kW", fontsize=12, color=SOFT)
    axes.set_ylim(0, 125)
    axes.legend(frameon=False, fontsize=12, loc="upper left", ncols=4)
    _save(figure, path)


def calls_heat(path: Path) -> None:
    """A heat map: calls by weekday and hour."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    busy = np.array([1.5, 1.1, 1.0, 0.9, 1.1, 0.5, 0.4])[:, None]
    hours: Sequence[int] = range(6, 22)
    shape = np.array([2, 5, 11, 12, 9, 7, 5, 6, 8, 7, 6, 5, 6, 7, 4, 2])[None, :]
    counts = np.rint(busy * shape).astype(int)
    figure, axes = _figure("When the help desk is busiest",
                           f"Calls in 2025 by weekday and hour (UTC): {counts.sum()} of 807, "
                           "the others came at night")  # fmt: skip
    tint = LinearSegmentedColormap.from_list("tint", ("#F2F6F7", SERIES[0], INK))
    axes.imshow(counts, aspect="auto", cmap=tint)
    axes.set_yticks(range(7), days)
    axes.set_xticks(range(len(hours)), [f"{hour}h" for hour in hours])
    for (row, column), value in np.ndenumerate(counts):
        ink = "white" if value > 7 else INK
        axes.text(column, row, str(value), ha="center", va="center", color=ink, fontsize=11)
    axes.spines["bottom"].set_visible(False)
    _save(figure, path)
