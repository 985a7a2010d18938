"""Patterns of credentials: names of variables and keys that hold one, and the formats of well-known tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

HUB_TOKEN = r"\bhf_[A-Za-z0-9]{20,}\b"
SHAPES = re.compile(
    "|".join(
        (
            HUB_TOKEN,
            r"(?<![\w-])sk-(?:[A-Za-z0-9]{16,}|(?=[\w-]*\d)[\w-]{20,})[\w-]*",  # OpenAI, Anthropic
            r"\bgh[pousr]_[A-Za-z0-9]{20,}",
            r"\bgithub_pat_\w{20,}",
            r"\bglpat-[\w-]{16,}",
            r"\bxox[a-z]-[\w-]{10,}",
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
            r"\bya29\.[\w-]{16,}",
            r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",  # a JSON Web Token
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            r"""(?<=://)[^/\s:@'"<>]*:[^/\s@'"<>]+(?=@)""",
            r"""(?<=://)[^/\s:@'"<>]{20,}(?=@)""",
            r"\b(?i:bearer|basic)\s+(?P<bearer>[\w.~+/-]{16,}=*)",
        )
    ),
    re.DOTALL,
)
# Every match of SHAPES contains one of these strings; a substring search is faster than the regular expression.
HINTS = (
    *(
        "hf_",
        "sk-",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xox",
        "AKIA",
        "ASIA",
        "ya29.",
        "eyJ",
    ),
    *("PRIVATE KEY", "://", "earer", "EARER", "asic", "ASIC"),
)

SECRET_NAME = re.compile(
    r"(?:^|_)(?:api_?key|access_?key|private_?key|secret_?key|account_?key|secret|token|password|passwd|pwd|passphrase"
    r"|authorization|credentials?)$"
)
# Names of vocabulary tokens and token counts, which are not credentials.
VOCABULARY = re.compile(
    r"(?:^|_)(?:pad|eos|bos|unk|sep|cls|mask|stop|start|end|special|image|audio|video|boi|eoi|eot|eom|think|tool|prefix"
    r"|suffix|middle|first|last|next|new|max|min|per|each|decoder)_token$"
)
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
NAMED = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]+)(?P<sign>["']?\s*[=:]\s*)""")
VALUE = re.compile(r"""((?i:bearer|basic|token)\s+)?(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"',;&{}\[\]()]+)""")
ONLY_WITH_EQUALS = ("token", "secret", "credential", "credentials")  # `unknown token: x` is prose


# ---------------------------------------------------------------- recognizing credentials
def is_secret_name(name: str) -> bool:
    """Return whether the name of a key or variable marks its value as a credential."""
    plain = CAMEL.sub("_", name).replace("-", "_").lower()
    return bool(SECRET_NAME.search(plain)) and not VOCABULARY.search(plain)


def credentials_in(text: str) -> Iterator[str]:
    """Yield the parts of a string that have the format of a credential."""
    if any(hint in text for hint in HINTS):
        for match in SHAPES.finditer(text):
            yield match["bearer"] or match[0]


def named_values(text: str) -> Iterator[re.Match[str]]:
    """Yield matches of VALUE after names of credentials, as in `password=...`."""
    for match in NAMED.finditer(text):
        name = match["name"].rpartition(".")[2]
        if is_secret_name(name) and ("=" in match["sign"] or name.lower() not in ONLY_WITH_EQUALS):
            found = VALUE.match(text, match.end())
            if found and not text.startswith(("${", "$\\{"), found.start("value")):
                yield found
