"""Hold `predict` and `evaluate` against many pictures of mixed size and quality, one in a hundred of them bad.

Stops when a picture was lost, a good one was skipped, or memory grew. LOAD_MODEL names another checkpoint than q1."""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
MODEL = os.environ.get('LOAD_MODEL', ROOT / 'models' / 'q1')
PEAK = 1536  # MiB; about 600 of them are Python, PyTorch and fastai
BAD = 0.01  # share of the files
MIXED = [(28, 28)] * 4 + [(128, 128)] * 3 + [(400, 300)] * 2 + [(1200, 900)]
SINGLE = {(28, 28): 2000, (128, 128): 2000, (400, 300): 2000, (1200, 900): 1000, (4000, 3000): 300}  # size -> pictures
FORMATS = 'PNG', 'JPEG', 'PNG', 'GIF', 'WEBP', 'BMP'


def packed(image, fmt):
    "`image` as the bytes of a file"
    f = io.BytesIO()
    image.save(f, fmt)
    return f.getvalue()


def templates(sizes, n, rng):
    "`n` good pictures: class index, suffix, bytes; a third are clean, the others noisy like photos"
    from midas_task2.data.synthetic import Glyphs

    glyphs = Glyphs()
    for i in range(n):
        k, fmt = int(rng.integers(len(glyphs))), FORMATS[rng.integers(len(FORMATS))]
        a = np.asarray(glyphs.canvas(k).resize(sizes[i % len(sizes)]).convert(rng.choice(['L', 'RGB'])))
        a = a + rng.normal(0, 6 * (i % 3), a.shape) if i % 3 else a
        yield int(glyphs.targets[k]), fmt.lower(), packed(Image.fromarray(a.clip(0, 255).astype(np.uint8)), fmt)


def damaged():
    "Bad files of several kinds"
    good = packed(Image.effect_noise((99, 99), 50), 'PNG')
    huge = good[:16] + b'\0\1\0\0' * 2 + good[24:]
    return [
        b'',
        b'this is text',
        good[: len(good) // 2],
        good[::-1],
        huge,
        b'%!PS-Adobe-3.0 EPSF-3.0\n',
        good[:8] + bytes(len(good)),
    ]


def make(folder, n, sizes):
    "`n` files in class folders, a share of them bad; returns the bad ones' names"
    rng = np.random.default_rng(0)
    good, spoils = list(templates(sizes, 20 if max(sizes) > (2000,) else 400, rng)), damaged()
    bad, names = set(rng.choice(n, round(n * BAD), replace=False).tolist()), []
    for i in range(n):
        k, suffix, data = good[i % len(good)]
        name = f'Sample{k + 1:03}/{i:06}.{"png" if i in bad else suffix}'
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(spoils[i % len(spoils)] if i in bad else data)
        if i in bad:
            names.append(name)
    return sorted(names)


def measure(command, folder):
    "Run one command on `folder` in this process: rows out, names skipped, seconds, peak memory"
    from midas_task2.core.runtime import peak_memory
    from midas_task2.evaluation.inference import predict_files
    from midas_task2.evaluation.labelled import evaluate_data
    from midas_task2.training.checkpoint import load_checkpoint

    model, start = load_checkpoint(MODEL), time.perf_counter()
    if command == 'predict':
        rows, skipped = 0, []
        for r in predict_files(*model, [folder]):
            rows += 1
            if 'error' in r:
                skipped.append(Path(r['file']).relative_to(folder).as_posix())
    else:
        r = evaluate_data([model], folder)
        skipped = [s['file'] for s in r['skipped']]
        rows = r['n'] + len(skipped)
    return dict(rows=rows, skipped=skipped, seconds=time.perf_counter() - start, peak_mib=peak_memory())


def row(command, folder, n, size, bad):
    "One row of the table, from a process of its own; stops when a picture was lost or memory grew"
    out = subprocess.run(
        [sys.executable, __file__, command, folder], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    r = json.loads(out)
    assert r['rows'] == n, f'{command} {size}: {r["rows"]} rows for {n} files'
    assert sorted(r['skipped']) == bad, f'{command} {size}: {len(r["skipped"])} skipped, {len(bad)} are bad, or others'
    assert r['peak_mib'] < PEAK, f'{command} {size}: {r["peak_mib"]} MiB, more than {PEAK}'
    shown = dict(
        command=command,
        images=n,
        size=size,
        images_per_second=round(n / r['seconds'], 1),
        peak_mib=r['peak_mib'],
        rows=r['rows'],
        skipped=len(r['skipped']),
    )
    print('  '.join(f'{v:>9}' for v in shown.values()), flush=True)
    return shown


def main(n=100000, out=None):
    "Print the table, and save it as JSON when `out` is given"
    print('  '.join(f'{h:>9}' for h in ('command', 'images', 'size', 'images/s', 'peak MiB', 'rows', 'skipped')))
    table, jobs = (
        [],
        [('mixed', n, MIXED, ('predict', 'evaluate'))]
        + [(f'{s[0]}x{s[1]}', k, [s], ('predict',)) for s, k in SINGLE.items()],
    )
    for size, k, sizes, commands in jobs:
        with tempfile.TemporaryDirectory() as d:
            bad = make(Path(d), k, sizes)
            table += [row(c, d, k, size, bad) for c in commands]
    from midas_task2.core.runtime import environment

    if out:
        Path(out).write_text(json.dumps(dict(table=table, environment=environment()), indent=1) + '\n')


if __name__ == '__main__':
    if sys.argv[1:2] in (['predict'], ['evaluate']):
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
    else:
        p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        p.add_argument('n', nargs='?', type=int, default=100000, help='pictures of mixed size')
        p.add_argument('out', nargs='?', help='a JSON file for the table')
        main(**vars(p.parse_args()))
