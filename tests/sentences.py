"""Sentences written for these tests, easy to tell apart."""

from __future__ import annotations

from collections.abc import Sequence

WEATHER = (
    "Rain fell on the harbour all night.",
    "A dry wind blew from the south.",
    "Fog hid the upper half of the tower.",
    "The forecast promises sunshine from Thursday on.",
    "Hail broke two panes of the greenhouse.",
    "Snow lay on the fields until April.",
    "Thunder rolled over the valley at noon.",
    "It was the hottest July in ninety years.",
    "Clouds came in low across the bay.",
    "Frost killed the early blossom.",
    "A storm warning is in force for the coast.",
    "The drizzle stopped before breakfast.",
)
COOKING = (
    "Fry the onions until they are golden.",
    "Let the dough rest for an hour.",
    "Add a pinch of salt to the boiling water.",
    "The soup needs more pepper and a little lemon.",
    "Whisk the eggs with the sugar.",
    "Roast the carrots in butter.",
    "Knead the bread twice and bake it slowly.",
    "Serve the rice with fresh coriander.",
    "Simmer the lentils in vegetable stock.",
    "Grate the cheese over the hot pasta.",
    "Marinate the fish in lime and garlic.",
    "Melt the chocolate over a warm bath.",
)
FOOTBALL = (
    "The striker scored twice before half-time.",
    "Their goalkeeper saved a late penalty.",
    "The visitors defended a narrow lead.",
    "A red card left the home side with ten players.",
    "The coach changed his whole midfield.",
    "Extra time ended without a goal.",
    "The captain headed in a corner kick.",
    "Supporters sang long after the final whistle.",
    "The league match was moved to Sunday.",
    "An own goal decided the derby.",
    "The winger ran past three defenders.",
    "They drew at home for the fourth time.",
)


def topics(labels: Sequence[str] = ("weather", "cooking", "football")) -> list[tuple[str, str]]:
    """Labelled examples: twelve of each topic."""
    texts = {"weather": WEATHER, "cooking": COOKING, "football": FOOTBALL}
    return [(text, label) for label in labels for text in texts[label]]
