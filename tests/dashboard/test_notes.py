"""Notes from a source: each of a few is shown, but only the newest of a flood."""

from tests.dashboard.sitting import open_dashboard
from vgtui.dashboard.session.notes import MAX_LENGTH, MAX_NOTICES, WINDOW_SECONDS, Notes
from vgtui.wire.frames import Event


def test_each_of_a_few_notes_is_shown_but_only_the_newest_of_a_flood_with_a_count() -> None:
    now, shown = 0.0, list[str]()
    notes = Notes(shown.append, lambda: now)
    for number in range(1_000):
        notes.take(f"note {number}")
    assert shown == [f"note {number}" for number in range(MAX_NOTICES)]
    now += WINDOW_SECONDS
    notes.show_if_due()
    assert shown[MAX_NOTICES:] == ["note 999 (996 more before it)"]
    notes.show_if_due()
    assert len(shown) == MAX_NOTICES + 1


def test_a_note_of_a_megabyte_is_a_short_notice() -> None:
    shown: list[str] = []
    Notes(shown.append).take("x" * 1_000_000)
    assert len(shown[0]) == MAX_LENGTH


async def test_a_flood_of_notes_is_a_few_notices_on_the_screen_and_bounded_in_the_history() -> None:
    async with open_dashboard() as sitting:
        for number in range(500):
            sitting.source.say(Event(step=50, kind="note", message=f"note {number}"))
        await sitting.settle()
        assert len(sitting.app._notifications) <= MAX_NOTICES + 1
        assert [entry.message for entry in sitting.app.main.state.history.occasions] == ["note 499"]
