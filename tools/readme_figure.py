"""The picture of the README: held-out drawings and what a network of Q1 made of them.

readme_figure.py DATA_FOLDER RUN_FOLDER PNG: RUN_FOLDER is what `midas_task2 q1 --data DATA_FOLDER --out RUN_FOLDER`
left; the drawings are a random choice of those that this run held out."""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from midas_task2.core.records import find_checkpoint, load_records
from midas_task2.data.datasets import load_set, resolve_data
from midas_task2.data.splits import train_test_split
from midas_task2.evaluation.inference import predict_probs
from midas_task2.training.checkpoint import load_checkpoint

COLUMNS, ROWS = 14, 2
RIGHT, WRONG = '#1a7f37', '#c62828'


def predictions(data, run):
    "Some held-out drawings, their true classes, the predicted ones and how confident each prediction is"
    record = load_records(run, question='q1')[-1]
    model, config = load_checkpoint(find_checkpoint(run, question='q1'))
    drawings = load_set('drawings', resolve_data(data, ['drawings']), config.preprocessing)
    _, held_out = train_test_split(drawings, record.config['split'], record.config['held_out'], record.seed)
    some = held_out.subset(np.random.default_rng(0).choice(len(held_out), COLUMNS * ROWS, replace=False))
    pred_probs = predict_probs(model, config, some.images)
    names = np.array(config.vocab)
    return some.images, names[some.targets], names[pred_probs.argmax(1)], pred_probs.max(1)


def draw(images, true, predicted, confidence):
    "A figure of rows of drawings, each with its prediction below"
    from matplotlib import pyplot as plt

    fig, axs = plt.subplots(ROWS, COLUMNS, figsize=(COLUMNS * 0.8, ROWS * 0.95))
    for ax, image, t, p, c in zip(axs.flat, images, true, predicted, confidence):
        ax.imshow(image, cmap='gray_r')
        label = f'{p}  {c:.0%}' if p == t else f'{p}  {c:.0%} (is {t})'
        ax.set_xlabel(label, color=RIGHT if p == t else WRONG, fontsize=8, labelpad=2)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color('#cccccc')
    fig.tight_layout(pad=0.3, w_pad=0.2, h_pad=0.4)
    return fig


if __name__ == '__main__':
    matplotlib.use('Agg')
    data, run, png = sys.argv[1:]
    Path(png).parent.mkdir(parents=True, exist_ok=True)
    draw(*predictions(data, run)).savefig(png, dpi=110, facecolor='white')
