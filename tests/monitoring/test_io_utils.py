"""Axes that figures share."""

from thesis_ml.monitoring import io_utils


def test_epochs_of_facts_count_from_one_for_readers() -> None:
    figure = io_utils.new_page(3.0)
    axes = io_utils.add_panel(figure, 0, 0.3, 1.0, y_label="")

    io_utils.show_epochs(axes, 0, 19)
    figure.canvas.draw()

    shown = {
        round(float(tick)): label.get_text()
        for tick, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    }
    assert all(label == str(epoch + 1) for epoch, label in shown.items())
    assert {"3", "6", "9", "12", "15", "18"} <= set(shown.values())
