"""The strip of photographs in the README: simulated handwriting in several ways, what is found, what `q1` predicts.

photograph_figure.py PNG: needs no data but the released networks."""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from midas_task2.core.io import pretrained_path
from midas_task2.data.document import read_document
from midas_task2.data.images import PREPROCESSORS
from midas_task2.data.photographs import photograph
from midas_task2.data.synthetic import Glyphs
from midas_task2.evaluation.inference import predict_probs
from midas_task2.training.checkpoint import load_checkpoint

WAYS = 'phone ruled hand_shadow pencil desk blackboard fine_pen crumpled squared whiteboard'.split()
LETTERS = 'R4kGe7WB2h'
STRENGTH = 0.8


def pictures():
    "One letter by a simulated writer in each way, and the ink that was found"
    glyphs = Glyphs()
    for k, (way, letter) in enumerate(zip(WAYS, LETTERS)):
        page = np.asarray(glyphs.canvas(glyphs.vocab.index(letter) * glyphs.per_class + k).resize((800, 600)))
        picture = photograph(page, way, STRENGTH, np.random.default_rng(k))
        yield picture, Image.fromarray(read_document(picture).ink)


def draw(found, names):
    "Pictures above, ink below, the predicted characters under it"
    from matplotlib import pyplot as plt

    fig, axs = plt.subplots(2, len(found), figsize=(len(found) * 0.95, 1.75))
    for (above, below), (picture, ink), name in zip(axs.T, found, names):
        above.imshow(picture)
        below.imshow(255 - np.asarray(ink), cmap='gray')
        below.set_xlabel(name, fontsize=9, labelpad=2)
        for ax in (above, below):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color('#cccccc')
    fig.tight_layout(pad=0.3, w_pad=0.2, h_pad=0.3)
    return fig


if __name__ == '__main__':
    matplotlib.use('Agg')
    model, config = load_checkpoint(pretrained_path('q1'))
    found = list(pictures())
    small = np.stack([PREPROCESSORS[config.preprocessing](ink) for _, ink in found])
    pred_probs = predict_probs(model, config, small)
    Path(sys.argv[1]).parent.mkdir(parents=True, exist_ok=True)
    names = [f'{config.vocab[p.argmax()]}  {p.max():.0%}' for p in pred_probs]
    draw(found, names).savefig(sys.argv[1], dpi=110, facecolor='white')
