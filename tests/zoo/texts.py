"""The text that tokenizers are trained on, and the prompts of the comparison."""

from __future__ import annotations

TRAINING = [
    "Electroencephalography records the electrical activity of the brain with electrodes on the scalp.",
    "The number three in French is trois. What is the number 2 in French? The number two in French is deux.",
    "A quick brown fox jumps over the lazy dog, while signals of the brain are measured again and again.",
    "def add(a, b):\n    return a + b\n\nfor number in range(10):\n\tprint(number, add(number, 1))\n",
    "Les jours de la semaine en français : lundi, mardi, mercredi, jeudi, vendredi, samedi et dimanche.",
    "Question: Where does the river rise?\n\nAnswer: It rises in the mountains, and it ends in the sea.",
    "In 1924, Hans Berger recorded the first human EEG; it was published in 1929. It's 12 or 13 Hz, isn't it?",
    "日本の首都は東京です。中国的首都是北京。 Привет, мир! Ça va? Größe, naïve, déjà vu 😀",
]

PROMPTS = (
    "The brain",
    "What is the number 2 in French?",
    "Question: Where does the river rise?\n\nAnswer:",
    "  two  spaces,\n\n\ttab 12 345.67 don't",
    "déjà vu 😀 日本",
    "def add(a, b):\n    return a + b\n\nprint(",
    "Hans Berger recorded the first human EEG in 1924 with electrodes on the scalp, and",
    "A quick brown fox jumps over the lazy dog. " * 5 + "Again and again, the fox jumps over the river and",
)
"""Prompts of different lengths: the last one has more than twice as many tokens as any other."""
