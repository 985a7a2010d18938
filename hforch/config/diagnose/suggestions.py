"""Suggest the known name that a misspelled one probably means."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 60.0) -> str | None:
    """Return the most similar known name, or None if the similarity is below `cutoff` (0 to 100)."""
    from rapidfuzz import fuzz, process
    from rapidfuzz.distance import Levenshtein

    found = process.extract(
        name, list(known), scorer=fuzz.ratio, score_cutoff=cutoff, processor=str.lower, limit=None
    )  # ties are broken by edit distance
    best = min(found, key=lambda one: (-one[1], Levenshtein.distance(name.lower(), str(one[0]).lower())), default=None)
    return str(best[0]) if best else None


def did_you_mean(name: str, known: Iterable[str], form: str = "{}") -> str | None:
    """Return `did you mean X?` with X formatted by `form`, or None if no name is similar."""
    found = nearest(name, known)
    return f"did you mean {form.format(found)}?" if found else None


def did_you_mean_key(path: str, known: Iterable[str]) -> str | None:
    """Return `did you mean X?` for a dotted key, compared without its group, or None."""
    known = [key for key in known if not path.startswith(f"{key}.")]
    group, _, name = path.rpartition(".") if "." not in path else path.partition(".")
    within = {key.partition(".")[2]: key for key in known if key.startswith(f"{group}.")}
    found = within.get(nearest(name, within) or "") if within else None
    if found is None:
        elsewhere: dict[str, list[str]] = {}
        for key in sorted(known):
            if "." in key:
                elsewhere.setdefault(key.partition(".")[2], []).append(key)
        alike = " or ".join(elsewhere.get(nearest(name, elsewhere, cutoff=85.0) or "", ()))
        found = alike or nearest(path, known, cutoff=80.0)
    return f"did you mean {found}?" if found else None
