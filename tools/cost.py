"""Core-seconds of training: fastai's usual recipe (ResNet34 from scratch, 224 pixels) against ours, batches in turn.

cost.py DATA_FOLDER [--rounds N] [--json FILE]"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import torch

DRAWINGS, USUAL_EPOCHS, USUAL_BATCH = 1984, 30, 64  # four fifths of the drawings; what the first seed report trained


def usual_batches(folder):
    "fastai's own pipeline and ResNet34, as in the first seed report; yields after each training step"
    from fastai.vision.all import (
        CrossEntropyLossFlat,
        ImageDataLoaders,
        Resize,
        aug_transforms,
        resnet34,
        vision_learner,
    )

    transforms = dict(item_tfms=Resize(224), batch_tfms=aug_transforms())
    dls = ImageDataLoaders.from_folder(
        folder, valid_pct=0.2, seed=0, bs=USUAL_BATCH, num_workers=0, device='cpu', **transforms
    )
    learn = vision_learner(dls, resnet34, pretrained=False, loss_func=CrossEntropyLossFlat())
    learn.model.train()
    learn.create_opt()
    for x, y in dls.train:
        learn.loss_func(learn.model(x), y).backward()
        learn.opt.step()
        learn.opt.zero_grad()
        yield len(y)


def our_epochs(s):
    "One epoch of 640 drawings after another, by the released network's recipe and everything that belongs to it"
    from midas_task2.experiments.q1_study import CV_CONFIG, GROUPS
    from midas_task2.training.learner import build_learner, fit

    while True:
        learn = build_learner(
            {**CV_CONFIG, **GROUPS['headline']['budget']},
            s.subset(range(0, 1920, 3)),
            s.subset(range(62)),
            device='cpu',
        )
        fit(learn, 1)
        yield 640


def reading(data):
    "Core-seconds for reading one drawing, which we do once and the usual recipe in every epoch"
    from midas_task2.data.datasets import load_drawings, resolve_data
    from midas_task2.experiments.q1_study import CV_CONFIG

    start = time.process_time()
    s = load_drawings(resolve_data(str(data)), CV_CONFIG['preprocessing'])
    return (time.process_time() - start) / len(s), s


def evaluated(path):
    "Pictures a second that `evaluate` reads, decoding included, by the released network on all cores"
    from midas_task2.core.io import pretrained_path
    from midas_task2.evaluation.labelled import evaluate_data
    from midas_task2.training.checkpoint import load_checkpoint

    net, start = load_checkpoint(pretrained_path('q1')), time.perf_counter()
    return evaluate_data([net], path)['n'] / (time.perf_counter() - start)


def timed(batches, n):
    "Core-seconds per image over `n` batches"
    images, start = 0, time.process_time()
    for _ in range(n):
        images += next(batches)
    return (time.process_time() - start) / images


def time_pairs(args, s):
    "Core-seconds per image of both recipes, `args.rounds` times; in turn, so that a busy machine slows both"
    with tempfile.TemporaryDirectory() as d:
        zipfile.ZipFile(args.data / 'trainPart1.zip').extractall(d)
        usual, ours = usual_batches(Path(d) / 'train'), our_epochs(s)
        timed(usual, 1), timed(ours, 1)  # what is slow once
        return [(timed(usual, 1), timed(ours, 1)) for _ in range(args.rounds)]


def summary(pairs, read, epochs):
    "Both recipes per image and for a whole training, and their ratio"
    usual, ours = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    totals = [(u * DRAWINGS * USUAL_EPOCHS, (read + o * epochs) * DRAWINGS) for u, o in ((usual, ours), *pairs)]
    ratio, *ratios = (u / o for u, o in totals)
    return dict(
        usual_core_seconds_per_image=usual,
        our_core_seconds_per_image=ours,
        our_reading_core_seconds_per_image=read,
        usual_total=totals[0][0],
        our_total=totals[0][1],
        usual_epochs=USUAL_EPOCHS,
        our_epochs=epochs,
        ratio=ratio,
        ratios=ratios,
    )


def rounded(v):
    return [round(x, 1) for x in v] if isinstance(v, list) else float(f'{v:.4g}')


def main(args):
    from midas_task2.core.runtime import environment
    from midas_task2.experiments.q1_study import GROUPS

    read, s = reading(args.data)
    res = summary(time_pairs(args, s), read, GROUPS['headline']['budget']['epochs'])
    res['evaluated_per_second'] = evaluated(args.data / 'trainPart1.zip')
    res = {k: rounded(v) for k, v in res.items()} | dict(threads=torch.get_num_threads())
    print(json.dumps(res, indent=1))
    if args.json:
        args.json.write_text(json.dumps(dict(res, environment=environment()), indent=1) + '\n')


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('data', type=Path, help='the folder that holds trainPart1.zip')
    p.add_argument(
        '--rounds', type=int, default=5, help='pairs of measurements, at most 29', choices=range(1, 30), metavar='N'
    )
    p.add_argument('--json', type=Path, help='where to keep the numbers')
    sys.exit(main(p.parse_args()))
