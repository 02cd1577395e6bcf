"""Recognise handwritten characters, and learn from labels that are wrong: `midas_task2.load('q1').predict(picture)`."""

__version__ = "0.2.0"

from typing import TYPE_CHECKING

from .core.moved import install_old_paths as _install_old_paths

if TYPE_CHECKING:  # for editors; in a process each is imported when it is used
    from .audit.audit import diagnose
    from .audit.self_training import relabel
    from .data.imageset import ImageSet
    from .evaluation.reader import create_model, evaluate, list_models, load, predict
    from .experiments.q1 import train
    from .training.estimator import CharacterClassifier

_HOMES = {
    'CharacterClassifier': 'training.estimator',
    'ImageSet': 'data.forms',  # which adds `from_npz` and its like
    'create_model': 'evaluation.reader',
    'diagnose': 'audit.audit',
    'evaluate': 'evaluation.reader',
    'list_models': 'evaluation.reader',
    'load': 'evaluation.reader',
    'predict': 'evaluation.reader',
    'relabel': 'audit.self_training',
    'train': 'experiments.q1',
}
__all__ = [*_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib import import_module

    globals()[name] = found = getattr(import_module(f'.{_HOMES[name]}', __name__), name)
    return found


def __dir__():
    return sorted({*globals(), *_HOMES} - {'TYPE_CHECKING'})


_install_old_paths()
