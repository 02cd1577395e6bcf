"""Interrupt runs at random moments, let them go on, and hold their results against a run that was left alone.

kill.py [--kills 50] [--job run] [--seed 0] [--json FILE]: every interruption must end in the same records, weights and
pictures, bit for bit. Faults: SIGKILL at a random moment or in the middle of a write, SIGTERM, SIGINT; as root also a
full disk and a read-only one (a small tmpfs)."""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

JOBS = dict(run='run --data embedded --profile smoke', small='q1 --data {data} --epochs 80')
EARLIEST, LATEST = 5, 20  # seconds after the start of a process, if the whole run takes that long
PATIENCE = 900  # seconds for the process that is left alone at the end
FAULTS = ['kill'] * 5 + ['write'] * 7 + ['term'] * 2 + ['int'] * 2  # `write`: SIGKILL while a file is being written
DISK_FAULTS = ['full'] * 2 + ['readonly'] * 2
TIMES = ('seconds', 'created', 'environment', 'command', 'card')  # what two equal runs do not share


def timeless(o):
    "A record without clocks and machines"
    if isinstance(o, dict):
        return {k: timeless(v) for k, v in o.items() if not any(t in k for t in TIMES)}
    return [timeless(v) for v in o] if isinstance(o, list) else o


def lasting(path):
    "The bytes of a file that two equal runs share"
    if path.suffix != '.json':
        return path.read_bytes()
    return json.dumps(timeless(json.loads(path.read_text()))).encode()


def outcome(out):
    "File -> digest of what must be the same"
    kept = [p for p in sorted(out.rglob('*')) if p.is_file() and p.suffix in ('.json', '.safetensors', '.png')]
    return {str(p.relative_to(out)): hashlib.sha256(lasting(p)).hexdigest() for p in kept}


def leftovers(out):
    return [
        str(p.relative_to(out))
        for p in out.rglob('*')
        if p.name.endswith(('.part', '.lock')) or p.name.startswith('work-')
    ]


def start(job, out, data, log):
    command = [
        sys.executable,
        '-c',
        'import sys; from midas_task2.cli import main; sys.exit(main())',
        *JOBS[job].format(data=data).split(),
        '--out',
        str(out),
    ]
    return subprocess.Popen(command, stdout=log, stderr=log)


def drawings(folder):
    "Five characters, ten drawings of each"
    from midas_task2.data.synthetic import VOCAB, Glyphs

    g = Glyphs()
    for k, c in enumerate(VOCAB[:5]):
        (folder / c).mkdir(parents=True)
        for i in [i for i, t in enumerate(g.targets) if t == k][:10]:
            g.canvas(i).resize((400, 300)).save(folder / c / f'{i}.png')


@contextlib.contextmanager
def disk(out, megabytes):
    "A small disk of its own at `out`, when we may mount one; gives whether we may"
    out.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', f'size={megabytes}m', 'tmpfs', out], stderr=subprocess.DEVNULL
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(['umount', '-l', out])


def writing(out):
    return any(p.name.endswith('.part') for p in out.rglob('.*'))


def wait(process, seconds, until=lambda: False):
    "Whether it still runs after so long, or as soon as `until`"
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end and not until():
        time.sleep(0.001)
    return process.poll() is None


def strike(process, fault, out, seconds):
    "Interrupt `process`; False when it had ended before"
    if not wait(process, seconds):
        return False
    if fault == 'write' and not wait(process, 60, lambda: writing(out)):
        return False
    if fault in ('full', 'readonly'):
        suffer(process, fault, out)
    process.send_signal(dict(term=signal.SIGTERM, int=signal.SIGINT).get(fault, signal.SIGKILL))
    process.wait()
    return True


def suffer(process, fault, out):
    "Some seconds with a disk that is full, or read-only"
    ballast = out / 'ballast'
    if fault == 'full':
        with contextlib.suppress(OSError), open(ballast, 'wb', buffering=0) as f:
            while True:
                f.write(bytes(2**16))
    else:
        for _ in range(500):  # a file that is open for writing forbids it
            if subprocess.run(['mount', '-o', 'remount,ro', out], stderr=subprocess.DEVNULL).returncode == 0:
                break
    wait(process, 6)
    if fault == 'readonly':
        subprocess.run(['mount', '-o', 'remount,rw', out])
    ballast.unlink(missing_ok=True)


def chain(job, data, root, moment, rng, kills, log):
    "One run, interrupted until it is done or `kills` is used up: its faults, outcome, leftovers"
    struck, out = [], root / 'out'
    shutil.rmtree(root / 'home', ignore_errors=True)  # the cache is written anew, and interrupted too
    with disk(out, 40) as mounted:
        while len(struck) < kills:
            fault = rng.choice(FAULTS + (DISK_FAULTS if mounted else []))
            process = start(job, out, data, log)
            if not strike(process, fault, out, moment()):
                break
            struck.append(fault)
        process = start(job, out, data, log)
        return struck, process.wait(PATIENCE), outcome(out), leftovers(out) + leftovers(root / 'home')


def left_alone(job, root, log):
    "What a run that nothing interrupts leaves, and its seconds"
    began = time.time()
    assert start(job, root / 'whole', root / 'data', log).wait() == 0, (root / 'log').read_text()
    want, took = outcome(root / 'whole'), time.time() - began
    print(f'left alone: {len(want)} files, {took:.0f} s', flush=True)
    return want, took


def interrupt(args, want, took, root, log):
    "Chains of interruptions until there were enough: their faults, and how many stand in a chain that went wrong"
    rng, struck, bad = random.Random(args.seed), Counter(), 0

    def moment():
        return rng.uniform(min(EARLIEST, took / 3), min(LATEST, took))

    while (n := sum(struck.values())) < args.kills:
        faults, rc, got, left = chain(args.job, root / 'data', root, moment, rng, args.kills - n, log)
        shutil.rmtree(root / 'out', ignore_errors=True)
        struck.update(faults)
        differ = sorted(k for k in want.keys() | got.keys() if want.get(k) != got.get(k))
        bad += len(faults) if rc or differ or left else 0
        files = f'{len(differ)} files differ {differ[:3]}, left over {left}'
        print(f'{" ".join(faults) or "none":60} exit {rc}, {files}', flush=True)
    return struck, bad


def report(result, text, args):
    "Print the counts and the first traceback; keep the counts"
    print(json.dumps(result))
    if 'Traceback' in text:
        print(text[text.index('Traceback') :][:4000])
    from midas_task2.core.runtime import environment

    if args.json:
        Path(args.json).write_text(json.dumps(dict(result, seed=args.seed, environment=environment()), indent=1) + '\n')


def main(args):
    began = time.time()
    with tempfile.TemporaryDirectory() as root, open(Path(root) / 'log', 'w+') as log:
        root = Path(root)
        os.environ['MIDAS_TASK2_HOME'] = str(root / 'home')
        drawings(root / 'data')
        want, took = left_alone(args.job, root, log)
        struck, bad = interrupt(args, want, took, root, log)
        text = (root / 'log').read_text()
    total, traces = sum(struck.values()), text.count('Traceback')
    counts = dict(interruptions=total, faults=dict(struck), same=total - bad, tracebacks=traces, files=len(want))
    report(dict(job=JOBS[args.job], **counts, seconds=round(time.time() - began)), text, args)
    return bad == 0 and not traces


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--kills', type=int, default=50)
    p.add_argument('--job', choices=JOBS, default='run')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--json', default='')
    sys.exit(not main(p.parse_args()))
