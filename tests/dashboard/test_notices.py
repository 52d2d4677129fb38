"""Notices: one of each kind at a time."""

from textual.widgets._toast import Toast, ToastHolder

from tests.dashboard.sitting import Sitting, open_dashboard


def toasts(sitting: Sitting) -> list[str]:
    """The words of every notice on the screen."""
    return [str(toast.render()) for toast in sitting.app.screen.query(Toast)]


async def test_a_notice_that_comes_seven_times_is_on_the_screen_once() -> None:
    async with open_dashboard() as sitting:
        for _ in range(7):
            sitting.type_key("tab")
        await sitting.settle_keys()
        sitting.app.main.notify("the last one")
        await sitting.until(lambda: toasts(sitting)[1:] == ["the last one"] and "the last one" in sitting.text)
        assert sitting.text.count("there is only one run") == 1
        assert len(sitting.app.screen.query(ToastHolder)) == 2


async def test_a_newer_notice_takes_the_place_of_an_older_one_about_the_same() -> None:
    async with open_dashboard() as sitting:
        await sitting.press(*["m"] * 8)
        for words in ("layer 3 is lost", "layer 12 is lost"):
            sitting.app.main.notify(words)
        await sitting.until(lambda: toasts(sitting)[1:] == ["layer 12 is lost"])
        assert "a change restarts from the same seed" in toasts(sitting)[0]
