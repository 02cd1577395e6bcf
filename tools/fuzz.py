"""Feed spoilt files to every reader: each must read them or raise an `InputError` of one line, soon, and run nothing.

fuzz.py [--runs 2000] [--readers zip image ...] [--engine hypothesis|atheris]: `hypothesis` mutates sound files, always
the same ones; `atheris` (pip install atheris) is guided by coverage and takes one reader at a time."""

import argparse
import atexit
import gzip
import hashlib
import io
import json
import random
import shutil
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from contextlib import redirect_stderr
from dataclasses import asdict
from pathlib import Path


def instrumented():
    "Import what is under test, watched by atheris"
    import atheris

    with atheris.instrument_imports(include=['midas_task2', 'zipfile', 'tarfile', 'PIL']):
        from PIL import Image

        Image.init()
    return atheris


ROOT = Path(__file__).resolve().parent.parent
LIMIT = 20  # seconds a reader may take for one small file
WORK = Path(tempfile.mkdtemp(prefix='fuzz-'))
atexit.register(shutil.rmtree, WORK, ignore_errors=True)


def put(name, data):
    (WORK / name).write_bytes(data)
    return WORK / name


def read_archive(data):
    from midas_task2.data.archives import SafeArchive

    with SafeArchive(put('archive', data)) as m:
        for n in m.names[:20]:
            m.read(n)


def read_picture(data):
    from midas_task2.data.images import decode, get_preprocessor

    for preprocessing in ('page', 'mnist_style'):
        decode(data, 'x.png', get_preprocessor(preprocessing))


def read_idx(data):
    from midas_task2.data.images import parse_idx

    parse_idx(data, 'x')


def read_table(data):
    from midas_task2.data.tables import read_labels

    read_labels(put('labels.csv', data))


def read_record(data):
    from midas_task2.core.records import load_record

    load_record(put('record.json', data))


def read_spec(data):
    from midas_task2.training.checkpoint import load_checkpoint

    put('model.safetensors', SAMPLES['weights'][0])
    put('model.json', data)
    see(*load_checkpoint(WORK))


def read_packed(data):
    from midas_task2.core.records import load_records

    put('records.jsonl.xz', data)
    load_records(WORK)


def read_weights(data):
    from midas_task2.training.checkpoint import load_checkpoint

    put('model.safetensors', data)
    # the digest is right, so that the reader gets to the content
    put(
        'model.json',
        json.dumps(json.loads(SAMPLES['model_config'][0]) | dict(sha256=hashlib.sha256(data).hexdigest())).encode(),
    )
    see(*load_checkpoint(WORK))


def see(model, model_config):
    "What a network that could be read says must be probabilities"
    import numpy as np

    from midas_task2.evaluation.inference import predict_probs

    assert np.isfinite(predict_probs(model, model_config, np.zeros((1, 28, 28), np.uint8), precision='fp32')).all()


def read_state(data):
    "Weights as mutated bytes, or a state in JSON whose digest is right"
    from safetensors.torch import save_file

    from midas_task2.training.resume import _digest, load_state

    put('state-0.safetensors', data)
    if data[:1] == b'{' and (text := data.decode(errors='ignore')).isprintable():
        save_file({}, WORK / 'state-0.safetensors', metadata=dict(state=text, serial='1', digest=_digest(text, {})))
    load_state(WORK)


def read_report(data):
    "A record that is well-formed and has the right id, but holds anything"
    from midas_task2.core.io import dataclass_from_dict, read_json
    from midas_task2.core.records import Record
    from midas_task2.reporting.html import write_report

    out = WORK / 'out'
    shutil.rmtree(out, ignore_errors=True)
    (out / 'records').mkdir(parents=True)
    p = put(
        'out/records/x.json',
        json.dumps(
            scrambled(json.loads(SAMPLES['report'][data[0] % len(SAMPLES['report'])]), random.Random(data))
        ).encode(),
    )
    rec = dataclass_from_dict(Record, read_json(p, 'record', ''), p, 'record', '')
    p.write_text(json.dumps(json.loads(p.read_text()) | dict(id=rec.id)))
    write_report(out)


def scrambled(o, rng):
    "`o` with a few of its values replaced"
    if rng.random() < 0.03:
        return rng.choice([None, '<script>', -1, 1e308, float('nan'), [], {}, [[]], True, 10**30])
    if isinstance(o, dict):
        return {k: scrambled(v, rng) for k, v in o.items()}
    return [scrambled(v, rng) for v in o] if isinstance(o, list) and len(o) < 50 else o


def read_cache(data):
    from midas_task2.data.imageset import cached_set

    put('key.npz', data)
    assert cached_set('key', lambda: DIGITS, WORK).digest == DIGITS.digest


READERS = dict(
    zip=read_archive,
    tar=read_archive,
    targz=read_archive,
    image=read_picture,
    idx=read_idx,
    table=read_table,
    record=read_record,
    model_config=read_spec,
    weights=read_weights,
    state=read_state,
    cache=read_cache,
    report=read_report,
    packed=read_packed,
)
SLOW = dict(report=50)  # readers that get so many times fewer files


def zipped():
    f = io.BytesIO()
    with zipfile.ZipFile(f, 'w', zipfile.ZIP_DEFLATED) as z:
        for n in ('a/1.png', 'b/2.png'):
            z.writestr(n, b'picture' * 20)
    return f.getvalue()


def tarred():
    f = io.BytesIO()
    with tarfile.open(fileobj=f, mode='w') as t:
        for n in ('a/1.png', 'b/' + 'long' * 40 + '.png'):
            i = tarfile.TarInfo(n)
            i.size = 9
            t.addfile(i, io.BytesIO(b'pictures!'))
    return f.getvalue()


def pictures():
    from PIL import Image

    from midas_task2.data.synthetic import Glyphs

    img = Glyphs().canvas(12).resize((60, 45))
    for fmt, mode in (
        ('PNG', 'L'),
        ('PNG', 'P'),
        ('PNG', 'RGBA'),
        ('PNG', 'I;16'),
        ('JPEG', 'RGB'),
        ('JPEG', 'CMYK'),
        ('GIF', 'P'),
        ('BMP', 'RGB'),
        ('TIFF', 'L'),
        ('WEBP', 'RGB'),
        ('PPM', 'L'),
    ):
        f = io.BytesIO()
        (Image.new('I;16', (30, 20), 40000) if mode == 'I;16' else img.convert(mode)).save(f, fmt)
        yield f.getvalue()


def saved():
    "Write a checkpoint, a state of training, a cache entry and a record into `WORK`; gives the record's path"
    import torch

    from midas_task2.core.records import Record, save_record
    from midas_task2.data.imageset import cached_set
    from midas_task2.training.checkpoint import ModelConfig, save_checkpoint
    from midas_task2.training.resume import rng_state, save_state

    model_config = ModelConfig(
        'compact', list('abc'), [28, 28], 0.1, 0.3, 'mnist_style', args=dict(widths=[4, 4, 4, 4])
    )
    save_checkpoint(WORK, model_config.build(), model_config)
    save_state(
        WORK, dict(rng=rng_state(), opt={0: dict(step=torch.tensor(3.0), avg=torch.ones(4))}, place=(1, 0.5, None)), 0
    )
    cached_set('key', lambda: DIGITS, WORK)
    history = [dict(epoch=1, loss=0.5)]
    return save_record(Record('q1', 'compact', dict(lr=0.1), dict(x=dict(n=3)), history=history), WORK)


def state_json():
    "What stands beside the tensors of a state of training"
    import torch

    from midas_task2.training.resume import pack

    state = dict(run='x', epoch=1, done=0, rng=(1, None), opt={0: dict(step=torch.tensor(3.0))})
    return json.dumps(pack(state, {})).encode()


def file(name):
    return [(WORK / name).read_bytes()]


def samples():
    "Sound files, by reader"
    import numpy as np

    from midas_task2.core.records import load_records

    record = saved()
    return dict(
        zip=[zipped()],
        tar=[tarred()],
        targz=[gzip.compress(tarred())],
        image=list(pictures()),
        idx=[b'\0\0\x08\x03' + np.array([2, 3, 3], '>i4').tobytes() + bytes(18)],
        table=[b'file,label\na/1.png,A\n"b c.png",\xc3\xbc\n'],
        record=[record.read_bytes()],
        model_config=file('model.json'),
        weights=file('model.safetensors'),
        state=[*file('state-0.safetensors'), state_json()],
        cache=file('key.npz'),
        report=[json.dumps(dict(id=r.id, **asdict(r))).encode() for r in load_records(ROOT / 'reports' / 'real-quick')],
        packed=[(ROOT / 'reports' / 'gpu' / 'records.jsonl.xz').read_bytes()],
    )


def setup():
    global SAMPLES, DIGITS
    from midas_task2.data.datasets import embedded_digits

    warnings.simplefilter('ignore')
    DIGITS = embedded_digits('t10k').subset(range(5))
    SAMPLES = samples()


def tried(reader, data):
    "Whether the file was read (or refused in one line); raises on anything else"
    from midas_task2.core.io import InputError

    start = time.perf_counter()
    try:
        with redirect_stderr(io.StringIO()):
            READERS[reader](data)
        good = True
    except InputError as e:
        assert len(str(e).splitlines()) == 1 and str(e).isprintable(), repr(str(e))
        good = False
    assert time.perf_counter() - start < LIMIT, 'too slow'
    return good


def mutated(data, rng):
    "`data` with a few bytes, words or stretches changed"
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        i, n = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 64))
        new = rng.choice((rng.randbytes(n), b'\xff' * n, bytes(n), b'9' * n, data[:n], b''))
        data[i : i + rng.choice((0, n, n))] = new
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data)


ROW = '{reader:8} {files:7,} files, {read:6,} read, {refused:6,} refused, {seconds:5} s'


def try_many(reader, runs):
    "Per mutated file, whether `reader` could read it"
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    read, always = [], dict(deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))

    @settings(max_examples=max(1, runs // SLOW.get(reader, 1)), **always)
    @given(st.integers(0, 2**32))
    def check(seed):
        rng = random.Random(seed)
        read.append(tried(reader, mutated(rng.choice(SAMPLES[reader]), rng)))

    check()
    return read


def with_hypothesis(readers, runs):
    "A row per reader: files tried, how many of them could be read"
    for reader in readers:
        start = time.perf_counter()
        read = try_many(reader, runs)
        seconds = round(time.perf_counter() - start)
        row = dict(reader=reader, files=len(read), read=sum(read), refused=len(read) - sum(read), seconds=seconds)
        print(ROW.format(**row), flush=True)
        yield row


def with_atheris(atheris, reader, runs):
    corpus = WORK / 'corpus'
    corpus.mkdir()
    for i, s in enumerate(SAMPLES[reader]):
        (corpus / f'{i}').write_bytes(s)
    atheris.Setup(
        [
            sys.argv[0],
            f'-runs={runs}',
            f'-timeout={LIMIT}',
            '-rss_limit_mb=4096',
            f'-artifact_prefix={tempfile.gettempdir()}/',
            '-print_final_stats=1',
            str(corpus),
        ],
        lambda data: tried(reader, data),
    )
    atheris.Fuzz()


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--runs', type=int, default=2000)
    p.add_argument('--readers', nargs='+', choices=READERS, default=list(READERS))
    p.add_argument('--engine', choices=('hypothesis', 'atheris'), default='hypothesis')
    p.add_argument('--json', default='', help='a file for the table')
    a = p.parse_args()
    atheris = instrumented() if a.engine == 'atheris' else None
    setup()
    if atheris:
        with_atheris(atheris, a.readers[0], a.runs)
    rows = list(with_hypothesis(a.readers, a.runs))
    from midas_task2.core.runtime import environment

    if a.json:
        Path(a.json).write_text(json.dumps(dict(table=rows, environment=environment()), indent=1) + '\n')
