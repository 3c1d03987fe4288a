"""The safety and service handbook; knows the rules of the trade, not how pages are set."""

from pathlib import Path
from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Line, Rect, String

from searchapp.demo import company, sheets
from searchapp.demo.sheets import caption, gap, grid, head, ink, items, subhead, text, warning

TITLE = "Safety and service\nhandbook"


def handbook_build(path: Path) -> None:
    """Write the handbook: cover and nine pages."""
    chapters = (
        _rules(), _height(), _lockout(), _battery(), _boat(), _schedule(), _torque(), _faults(),
        _injury(),
    )  # fmt: skip
    sheets.paper_save(path, TITLE, "For field crews, island wardens and partners. Edition 7, 2026",
                      chapters)  # fmt: skip


def _rules() -> list[Any]:
    return [
        head("1  The seven rules that save lives"),
        text("Most of our sites are hours away from a hospital. Whoever sees a rule broken says "
             "stop, whatever their rank, and nobody is ever blamed for stopping a job."),
        items((
            "Two people on every job. The second one can see and hear the first.",
            "No climbing and no mast work above 15 m/s of wind, or with lightning inside 30 km.",
            "Clip on before the first foot leaves the ground, and stay clipped.",
            "Switch off, lock, test dead, earth. In this order, with your own padlock.",
            "Life jacket on from the quay edge to the quay edge.",
            "Nobody stands under a load or in the fall circle of a mast.",
            "Report every near miss the same day: form S-3 or a call to 4455.",
        ), numbered=True),
        subhead("Our record"),
        sheets.bars(tuple(map(str, company.YEARS)),
                    {"Injuries with lost days": (6, 5, 5, 3, 2),
                        "Reported near misses": (31, 44, 68, 97, 121)},
                    height=150, number_format="%d"),
        caption("Figure 1. More reports of near misses, fewer injuries."),
    ]  # fmt: skip


def _height() -> list[Any]:
    return [
        head("2  Working at height"),
        text("The mast of the Gannet 30 tilts, so nearly all work is done on the ground. Climbing "
             "is allowed only when the hinge is blocked or the winch is out of order, and needs a "
             "written permit by the crew lead."),
        subhead("Equipment"),
        grid((("Item", "Check before use", "Replace"),
              ("Full-body harness", "Seams, buckles, label readable", "10 years or after a fall"),
              ("Double lanyard with absorber", "Absorber cover closed", "After a fall"),
              ("Helmet with chin strap", "No cracks, date of make", "5 years"),
              ("Rescue kit, 40 m rope", "Seal unbroken", "Yearly inspection")), (3, 4, 3)),
        subhead("Rescue of a hanging person"),
        text("A person who hangs still in a harness may lose consciousness within ten minutes. Do "
             "not wait for help from outside."),
        items(("Call out and keep talking to the person.",
            "Anchor the rescue kit above, clip to the "
               "chest ring, lift 10 cm, release the lanyard.",
               "Lower slowly. On the ground: sit, legs "
               "bent, 30 minutes. Then see a doctor in every case."), numbered=True),
        warning("Tools above two metres hang on a cord. A spanner dropped from 18 m goes "
                "through a helmet."),
    ]  # fmt: skip


def _lockout() -> list[Any]:
    return [
        head("3  Switching off and locking out"),
        text("Three sources can feed the bus at the same moment: wind, sun and battery. Opening "
             "one "
             "breaker is never enough. A turbine in wind makes voltage even when the grid is "
             "dark."),
        _lockout_figure(),
        caption("Figure 2. The order of isolation. Each lock has one key and the owner keeps it."),
        items((
            "Tell the warden and the remote desk. They set the site to <i>service</i>.",
            "Stop the turbine, set the mechanical brake, open Q1 and lock it.",
            "Open the solar disconnector Q2. Cover the rows if you work on their cables.",
            "Open the battery breaker Q3, then pull the service plug. Wait five minutes for the "
            "capacitors.",
            "Test the tester, test all phases, test the tester again. Below 50 V: earth and short.",
            "Hang your tag with name, date and phone number.",
        ), numbered=True),
        warning("A forgotten padlock is cut only by the safety lead, after speaking to its owner."),
    ]  # fmt: skip


def _lockout_figure() -> Any:
    drawing = Drawing(sheets.BODY_WIDTH, 110)
    names = ("Turbine\nQ1", "Solar\nQ2", "Battery\nQ3", "Test dead", "Earth")
    for index, name in enumerate(names):
        x = 5 + index * 94
        fill = company.TEAL if index < 3 else company.GREEN
        drawing.add(Rect(x, 30, 78, 55, rx=6, fillColor=ink(fill), strokeColor=None))
        for row, line in enumerate(name.split("\n")):
            y = 60 - row * 16 if "\n" in name else 53
            drawing.add(String(x + 39, y, line, textAnchor="middle", fontName="Helvetica-Bold",
                               fontSize=11, fillColor=ink(company.WHITE)))  # fmt: skip
        drawing.add(Circle(x + 39, 96, 10, fillColor=ink(company.SUN), strokeColor=None))
        drawing.add(String(x + 39, 92, str(index + 1), textAnchor="middle", fontSize=11,
                           fontName="Helvetica-Bold"))  # fmt: skip
        if index < 4:
            drawing.add(Line(x + 80, 57, x + 92, 57, strokeWidth=2, strokeColor=ink(company.GREY)))
    return drawing


def _battery() -> list[Any]:
    return [
        head("4  Fire and gas in the battery container"),
        text("The Eider 240 holds lithium iron phosphate cells. They burn rarely, but a damaged "
             "cell "
             "gives off gas that can explode in a closed room and must not be breathed."),
        grid((("Sign", "What it means", "What you do"),
              ("Amber lamp, fan at full speed", "A module is above 55 degrees",
               "Do not open. Ring the "
               "remote desk; charge is stopped by itself."),
              ("Sweet smell, white vapour", "A cell is venting",
               "Leave upwind, 50 m. Keep all people "
               "away. No sparks, no phone at the door."),
              ("Red lamp and horn", "Gas sensor above 10 % of the limit", "Press the outside stop. "
               "Call the fire brigade."),
              ("Flames", "Thermal runaway", "Cool the neighbours with water from 15 m. Let the "
               "container burn out.")), (2.6, 2.8, 4.6)),
        subhead("After the fire"),
        text("Watch for 24 hours, since cells may light again. Collect the water used; it is "
             "caustic. "
             "Enter only with breathing apparatus and after two gas readings of zero."),
        warning("Never put a burning battery out with powder and then walk in. Powder hides the "
                "flame "
                "and the gas goes on."),
    ]  # fmt: skip


def _boat() -> list[Any]:
    return [
        head("5  Getting there: boats and cargo"),
        subhead("Crossing to a pier or beach"),
        items((
            "The skipper decides. Swell above 1.2 m at the landing means we turn round.",
            "Step across on the top of the swell, hands free, bag handed over afterwards.",
            "One person at a time; a throwing line ready on both sides.",
            "Immersion suit when the water is colder than 12 degrees.",
        )),
        subhead("Lifting with the deck crane"),
        grid((("Load", "Weight", "Slings", "Largest wind"),
              ("Nacelle", "1,450 kg", "Two-leg chain, 3 t", "8 m/s"),
              ("Blade box, three blades", "620 kg", "Two round slings, spreader", "6 m/s"),
              ("Battery container, empty", "4,900 kg", "Four corner hooks, 10 t", "8 m/s"),
              ("Battery module", "118 kg", "Module yoke only", "10 m/s")), (3, 2, 3.5, 2)),
        text("Battery modules travel at 30 percent of charge, in their own box, on deck, away from "
             "the fuel. The shipping paper is UN 3480, class 9."),
        subhead("If the weather keeps you on the island"),
        text("Every site hut holds food and water for four people for five days, a stove, sleeping "
             "bags and a satellite phone. Ring the remote desk at 8:00 and 20:00."),
    ]  # fmt: skip


def _schedule() -> list[Any]:
    mark = "x"
    rows = (
        ("Task", "Month", "Half year", "Year", "5 years", "Minutes"),
        ("Look and listen round the site", mark, "", "", "", "20"),
        ("Clean or change fan filters", mark, "", "", "", "15"),
        ("Wash salt and bird lime off solar rows", "", mark, "", "", "90"),
        ("Test emergency stop and horn", "", mark, "", "", "15"),
        ("Grease yaw bearing, 60 g", "", mark, "", "", "25"),
        ("Lower mast, inspect blade edges", "", "", mark, "", "150"),
        ("Check bolt torque by table 6", "", "", mark, "", "80"),
        ("Measure earth resistance, below 10 ohm", "", "", mark, "", "40"),
        ("Change generator oil and filter", "", "", mark, "", "60"),
        ("Replace brake pads and winch rope", "", "", "", mark, "240"),
        ("Capacity test of the battery", "", "", "", mark, "600"),
    )
    return [
        head("6  Maintenance calendar"),
        text("Wardens do the monthly and half-yearly work, our crews the yearly visit. Write each "
             "task in the site log; a photo of the blade edge is part of the yearly record."),
        grid(rows, (5, 1.2, 1.5, 1, 1.3, 1.4)),
        caption("Table 5. What to do how often. Minutes are for two people."),
        subhead("Consumables to keep on the island"),
        items(("12 fan filters F-7", "1 kg bearing grease, calcium sulfonate",
            "2 sets of blade edge "
               "tape and primer", "6 fuses 100 A gR and 10 solar connectors")),
    ]  # fmt: skip


def _torque() -> list[Any]:
    rows = (
        ("Joint", "Bolt", "Grade", "Torque, Nm", "Grease"),
        ("Mast base to rock anchor", "M30", "8.8", "1,050", "yes"),
        ("Mast hinge pin lock", "M16", "A4-80", "165", "yes"),
        ("Mast flange, upper", "M20", "10.9", "470", "no"),
        ("Nacelle to yaw bearing", "M16", "10.9", "250", "no"),
        ("Blade root", "M16", "10.9", "230", "no"),
        ("Brake caliper", "M12", "10.9", "110", "no"),
        ("Solar frame clamp", "M8", "A4-70", "14", "yes"),
        ("Battery busbar", "M8", "8.8", "12", "no"),
    )
    return [
        head("7  How tight: bolts and torque"),
        text("Use a calibrated wrench; the seal must be younger than 12 months. Tighten "
             "crosswise in "
             "three rounds: 50, 80 and 100 percent. Mark each bolt with a yellow line over nut and "
             "steel. A broken line at the next visit means it moved."),
        grid(rows, (4, 1.2, 1.4, 1.8, 1.2)),
        caption("Table 6. Dry bolts unless grease is named. Greased values hold only for paste "
                "P-74."),
        subhead("When a bolt fails the check"),
        items((
            "It turns less than 30 degrees: tighten and note it.",
            "It turns more: replace the bolt and both neighbours.",
            "Two loose bolts on one flange: stop the turbine and send photos to engineering.",
        )),
        gap(2),
        warning("Blade root bolts are used once. Never put an old one back."),
    ]  # fmt: skip


def _faults() -> list[Any]:
    rows = (
        ("Code", "Shown as", "Likely cause", "First remedy"),
        (
            "W-104",
            "Rotor too slow for wind",
            "Ice or torn edge tape",
            "Stop, wait for thaw, look at blades",
        ),
        (
            "W-117",
            "Vibration high",
            "Blade out of balance",
            "Stop; lower the mast; compare the tips",
        ),
        ("W-131", "Yaw stuck", "Dry bearing, cable twisted", "Grease; unwind by hand wheel"),
        (
            "S-202",
            "Row gives less than neighbours",
            "Dirt, shade, loose connector",
            "Wash; feel for warm plugs",
        ),
        ("S-215", "Insulation low", "Water in a plug after storm", "Dry and replace the plug"),
        ("B-301", "Module hotter than others", "Blocked fan filter", "Change the filter"),
        (
            "B-322",
            "Cells out of balance",
            "Long time without full charge",
            "Full charge for six hours",
        ),
        (
            "C-407",
            "No contact with headquarters",
            "Dish moved, SIM blocked",
            "Turn dish to mark; restart LS-2",
        ),
        (
            "G-510",
            "Generator does not start",
            "Starter battery, empty tank",
            "Charge; fill; bleed the fuel",
        ),
    )
    return [
        head("8  Fault codes on the Lodestar display"),
        text("The display shows the code, the time and the source. Clear a fault only once. If it "
             "comes back within a day, ring the remote desk with the code and a photo."),
        grid(rows, (1.1, 3, 3, 3.6)),
        subhead("How to reach the remote desk"),
        text("Day and night on satellite phone short code 4, or +47 5550 0144. The desk answers "
             "within 15 minutes and can see your site while you talk."),
    ]  # fmt: skip


def _injury() -> list[Any]:
    return [
        head("9  When someone is hurt"),
        items((
            "Look out for yourself first: is the source of danger off?",
            "Shout for your partner. Radio channel 16 or the satellite phone: say where, what, "
            "how many.",
            "Not breathing: 30 pushes, 2 breaths, the defibrillator hangs behind the hut door.",
            "Bleeding: press hard, raise, tourniquet high on the limb and write the time on it.",
            "Electric shock: always to the doctor, even if the person feels well. The heart may "
            "stumble hours later.",
            "Cold and wet: out of the wind, dry clothes, warm sweet drink, no rubbing.",
        ), numbered=True),
        subhead("Afterwards"),
        text("The crew lead fills in form S-1 within 24 hours. The site stays as it is until "
             "photos "
             "are taken. Nobody goes home alone after a serious accident; Dr Amara Osei offers "
             "talks."),
        grid((("Region", "Rescue by air", "Nearest burn unit", "Typical time"),
              ("North Atlantic", "Coast guard, channel 16", "Bergen", "2 h"),
              ("Mediterranean", "MRCC Rome", "Palermo", "1.5 h"),
              ("Caribbean", "MRCC Fort-de-France", "Fort-de-France", "3 h"),
              ("Pacific", "RCC Fiji", "Auckland", "9 h")), (2.4, 3, 2.4, 1.6)),
    ]  # fmt: skip
