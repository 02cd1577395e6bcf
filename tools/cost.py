"""Core-seconds of training: the usual recipe (fastai, ResNet34 from scratch, 224 pixels) against ours, a few batches of each in turn: cost.py DATA_ZIP [--rounds N] [--json FILE]"""
import argparse, json, statistics, sys, tempfile, time, zipfile
from pathlib import Path

import torch

DRAWINGS, USUAL_EPOCHS, USUAL_BATCH = 1984, 30, 64 # four fifths of the drawings; what the first seed report trained

def usual_batches(folder):
    "fastai's own pipeline and ResNet34, as in the first seed report; yields after each training step"
    from fastai.vision.all import CrossEntropyLossFlat, ImageDataLoaders, Resize, aug_transforms, resnet34, vision_learner
    dls = ImageDataLoaders.from_folder(folder, valid_pct=.2, seed=0, item_tfms=Resize(224), batch_tfms=aug_transforms(), bs=USUAL_BATCH, num_workers=0, device='cpu')
    learn = vision_learner(dls, resnet34, pretrained=False, loss_func=CrossEntropyLossFlat())
    learn.model.train(); learn.create_opt()
    for x, y in dls.train:
        learn.loss_func(learn.model(x), y).backward(); learn.opt.step(); learn.opt.zero_grad()
        yield len(y)

def our_batches(path):
    "The recipe of the released network; yields after each training step"
    from midas_task2.datasets import load_set, resolve_data
    from midas_task2.learner import autocast, build_learner
    from midas_task2.q1_study import GROUPS, RECIPE
    s = load_set('drawings', resolve_data(str(path)))
    learn = build_learner({**RECIPE, **GROUPS['headline']['budget'], 'mixup':0, 'ema':0}, s, s.subset(range(64)))
    learn.model.train(); learn.create_opt()
    while True:
        for x, y in learn.dls.train:
            x, y = (t.as_subclass(torch.Tensor) for t in (x, y))
            with autocast(x.device): pred = learn.model(x.contiguous(memory_format=torch.channels_last))
            learn.loss_func(pred.float(), y).backward(); learn.opt.step(); learn.opt.zero_grad()
            yield len(y)

def timed(batches, n):
    "Core-seconds per image over `n` batches"
    images, start = 0, time.process_time()
    for _ in range(n): images += next(batches)
    return (time.process_time()-start)/images

def main(args):
    from midas_task2.core import environment
    from midas_task2.q1_study import GROUPS
    with tempfile.TemporaryDirectory() as d:
        zipfile.ZipFile(args.data/'trainPart1.zip').extractall(d)
        usual, ours = usual_batches(Path(d)/'train'), our_batches(args.data)
        timed(usual, 1), timed(ours, 3) # what is slow once
        pairs = [(timed(usual, 1), timed(ours, 10)) for _ in range(args.rounds)] # in turn, so that a busy machine slows both
    u, o = (statistics.median(p[i] for p in pairs) for i in (0,1))
    epochs = GROUPS['headline']['budget']['epochs']
    res = dict(usual_core_seconds_per_image=round(u, 5), our_core_seconds_per_image=round(o, 5), usual_total=round(u*DRAWINGS*USUAL_EPOCHS), our_total=round(o*DRAWINGS*epochs), usual_epochs=USUAL_EPOCHS, our_epochs=epochs,
               ratio=round(u*USUAL_EPOCHS/(o*epochs), 1), ratios=[round(a*USUAL_EPOCHS/(b*epochs), 1) for a,b in pairs], threads=torch.get_num_threads(), environment=environment())
    print(json.dumps({k:v for k,v in res.items() if k != 'environment'}, indent=1))
    if args.json: args.json.write_text(json.dumps(res, indent=1) + '\n')

if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('data', type=Path, help='the folder that holds trainPart1.zip')
    p.add_argument('--rounds', type=int, default=5, help='pairs of measurements')
    p.add_argument('--json', type=Path, help='where to keep the numbers')
    sys.exit(main(p.parse_args()))
