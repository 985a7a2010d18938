from __future__ import annotations

import pickle

from hforch.errors import ConfigError, HforchError, Mistake, UnknownArgument


def test_a_config_error_survives_the_way_between_processes() -> None:
    error = ConfigError([Mistake("a.b", "is wrong", "here", "do this"), Mistake("c", "too")])
    again = pickle.loads(pickle.dumps(error))
    assert again.mistakes == error.mistakes
    assert str(again) == str(error) == "a.b: is wrong\n    written in here\n    do this\nc: too"


def test_the_same_mistake_is_told_once() -> None:
    assert len(ConfigError([Mistake("a", "b"), Mistake("a", "b")]).mistakes) == 1


def test_every_error_has_an_exit_code_and_the_tree_is_drawn() -> None:
    import hforch.errors as errors

    def below(kind: type[HforchError]) -> set[type[HforchError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__() if each.__module__ == errors.__name__))

    for kind in below(HforchError):
        assert kind.exit_code in (1, 2)
        assert kind.__name__ in str(errors.__doc__)
    assert issubclass(UnknownArgument, TypeError)
