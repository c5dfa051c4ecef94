"""The figures of docs/study.md, from the rows that the study recorded."""

import numpy as np
from _generators import DBM, DBN

COLOURS = {"information": "#0072B2", "mutual_info_classif": "#E69F00", "random": "#777777"}
HEADS = ("SVC", "LogisticRegression")


def draw(rows, folder):
    """Write the figures whose rows are all there."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    for name, figure in (
        ("layers", layers),
        ("units", units),
        ("tasks", tasks),
        ("retention", retention),
    ):
        drawn = figure(rows, plt)
        drawn.savefig(folder / f"study_{name}.png", dpi=110, bbox_inches="tight")
        plt.close(drawn)


def of(rows, part, **case):
    return [
        row
        for row in rows
        if row["part"] == part and all(row.get(k) == v for k, v in case.items())
    ]


def short(title):
    return title.replace(DBN, "DBN").replace(DBM, "DBM").replace("principal ", "")


def layers(rows, plt):
    """Errors on every subset of layers, on pixels and on components."""
    drawn, panels = plt.subplots(1, 2, figsize=(9.5, 5.8), sharey=True)
    titles = [
        row["set"]
        for row in of(rows, "draws", head="SVC")
        if row["kind"] in ("pixels", "PCA", "layers")
    ]
    for panel, head in zip(panels, HEADS, strict=True):
        for y, title in enumerate(titles):
            (row,) = of(rows, "draws", head=head, set=title)
            mean = np.mean(row["errors"])
            spread = [[mean - min(row["errors"])], [max(row["errors"]) - mean]]
            label = "10,000 rows, three draws" if y == 0 else None
            panel.errorbar(mean, y, xerr=spread, fmt="o", color="#0072B2", ms=4, label=label)
            for every in of(rows, "all rows", head=head, set=title):
                label = "60,000 rows" if y == 0 else None
                panel.plot(every["errors"][0], y, "s", color="#D55E00", ms=5, label=label)
        for colour, style, network in (
            ("#009E73", "--", DBN),
            ("#009E73", ":", DBM),
            ("#777777", "-.", "MLPClassifier"),
        ):
            for row in of(rows, "fine-tuned", network=network):
                label = network if network == "MLPClassifier" else f"{short(network)[:3]} tuned"
                panel.axvline(row["errors"][0], color=colour, ls=style, lw=1, label=label)
        panel.set_xlabel("test error, %")
        panel.set_title(head)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(titles)), [short(title) for title in titles])
    panels[0].invert_yaxis()
    handles, labels = panels[1].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="upper center", ncols=5, bbox_to_anchor=(0.5, 0.0))
    return drawn


def units(rows, plt):
    """Errors against the share of all units that are selected."""
    drawn, panels = plt.subplots(2, 2, figsize=(8.5, 6), sharex=True)
    for line, head in zip(panels, HEADS, strict=True):
        for panel, network in zip(line, (DBN, DBM), strict=True):
            every = [
                row for row in of(rows, "draws", head=head) if row["set"].startswith(network)
            ]
            whole = max(
                (row for row in every if row["kind"] == "layers"),
                key=lambda row: row["n_features"],
            )
            for score, colour in COLOURS.items():
                found = [row for row in every if row["kind"] == score] + [whole]
                share = [100 * row["n_features"] / whole["n_features"] for row in found]
                errors = np.array([row["errors"] for row in found])
                mean = errors.mean(axis=1)
                spread = [mean - errors.min(axis=1), errors.max(axis=1) - mean]
                panel.errorbar(
                    share, mean, spread, color=colour, marker="o", ms=4, capsize=2, label=score
                )
            panel.set_title(f"{network}, {head}", fontsize=10)
            panel.set_ylim(bottom=0)
            panel.grid(alpha=0.3)
    for panel in panels[1]:
        panel.set_xlabel("share of all hidden units, %")
    for panel in panels[:, 0]:
        panel.set_ylabel("test error, %")
    panels[0, 0].legend(fontsize=9)
    drawn.tight_layout()
    return drawn


def tasks(rows, plt):
    """Other tasks, with the same features."""
    found = of(rows, "tasks")
    names = list(dict.fromkeys(row["task"] for row in found))
    drawn, panels = plt.subplots(1, len(names), figsize=(9.5, 3), sharey=True)
    for panel, task in zip(panels, names, strict=True):
        for y, row in enumerate(of(rows, "tasks", task=task)):
            mean = np.mean(row["errors"])
            spread = [[mean - min(row["errors"])], [max(row["errors"]) - mean]]
            colour = "#D55E00" if "tuned" in row["set"] else "#0072B2"
            panel.errorbar(mean, y, xerr=spread, fmt="o", color=colour, ms=5)
        panel.set_title(task, fontsize=10)
        regression = task == "stroke thickness"
        panel.set_xlabel("variance left, %" if regression else "test error, %")
        panel.set_xlim(left=0)
        panel.grid(axis="x", alpha=0.3)
    labels = [
        short(row["set"]).replace(", fine-tuned for the digits", "\nfine-tuned for digits")
        for row in of(rows, "tasks", task=names[0])
    ]
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].invert_yaxis()
    drawn.tight_layout()
    return drawn


def retention(rows, plt):
    """Nats before and after fine-tuning."""
    found = sorted(
        of(rows, "retention"),
        key=lambda row: (
            row["settings"].get("generative_weight", 0),
            row["settings"]["fine_tune"],
        ),
    )
    drawn, panel = plt.subplots(figsize=(8.5, 3.2))
    labels = ["before"]
    before = of(rows, "before tuning")[0]["log_likelihood"]
    panel.plot(before, 0, "o", color="#009E73")
    panel.axvline(before, color="#009E73", lw=1, ls=":")
    for y, row in enumerate(found, start=1):
        settings = row["settings"]
        label = {1: "last layer tuned", 2: "last two layers tuned"}.get(
            settings["fine_tune"], "all layers tuned"
        )
        if "generative_weight" in settings:
            label = f"all, generative weight {settings['generative_weight']:g}"
        labels.append(label)
        after = row["after"]
        panel.plot([after["forward"], after["reverse"]], [y, y], color="#0072B2", lw=2)
        panel.plot(after["log_likelihood"], y, "o", color="#0072B2")
        panel.annotate(
            f"  {row['errors'][0]:.2f} % errors", (after["log_likelihood"], y), va="center"
        )
    panel.set_yticks(range(len(labels)), labels)
    panel.invert_yaxis()
    panel.set_xlabel("log-likelihood of a test image, nats")
    low, high = panel.get_xlim()
    panel.set_xlim(low, high + 0.25 * (high - low))
    panel.grid(axis="x", alpha=0.3)
    return drawn
