"""The Textual app of `vgtui top`. It ends with the trainings that the user wants to see."""

from collections.abc import Mapping
from dataclasses import dataclass

from textual.screen import Screen

from vgtui.dashboard.line_filters import EVERYTHING, Shows
from vgtui.dashboard.screens.trainings import TrainingsScreen
from vgtui.dashboard.themed import ThemedApp
from vgtui.sources.overview import Overview
from vgtui.sources.trainings import Training
from vgtui.user.themes import Palette


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewConfig:
    """What `vgtui top` shows, and how.

    Attributes:
        overview: The trainings.
        palettes: The themes by name.
        theme: The name of the theme.
        shows: What the terminal can show.
        problem: What went wrong with what was opened before, to be told.
    """

    overview: Overview
    palettes: Mapping[str, Palette]
    theme: str
    shows: Shows = EVERYTHING
    problem: str = ""


class OverviewApp(ThemedApp[tuple[Training, ...]]):
    """Shows all trainings. Returns the one to open, or the two to compare; None when the user leaves."""

    def __init__(self, config: OverviewConfig) -> None:
        super().__init__(config.palettes, config.theme, config.shows)
        self.main = TrainingsScreen(config.overview, config.palettes[config.theme], config.problem)

    def get_default_screen(self) -> Screen[None]:
        """Return the screen of all trainings."""
        return self.main

    def on_trainings_screen_chosen(self, message: TrainingsScreen.Chosen) -> None:
        """End with what was chosen."""
        self.workers.cancel_all()
        self.exit(message.trainings)
