"""Every check of a checkout, one after the other: what `make test` runs. Nothing in the working tree is changed."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LIB = 'midas_task2'
NUMBERED = re.compile(r'(\d+)_\w+')
TEST_LIMIT = (
    35 * 60
)  # seconds; the tests of all notebooks together are meant to take under ten minutes, and took over twelve on a slow machine without bfloat16
HELP_LIMIT = 1.0  # seconds

# nbdev_export does nothing under IN_TEST; one thread a worker, since the workers share the cores.
ENV = {k: v for k, v in os.environ.items() if k not in ('IN_TEST', 'MIDAS_TASK2_HOME')}
ENV |= dict(PATH=f'{BIN}{os.pathsep}{ENV["PATH"]}', OMP_NUM_THREADS='1', MPLBACKEND='Agg', PYTHONUNBUFFERED='1')

# Each check returns {name of the test: what is wrong and how to mend it, '' when it passed}.


def run(*cmd, cwd=ROOT):
    "Exit code and output of a command"
    p = subprocess.run(
        [str(c) for c in cmd], cwd=cwd, env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return p.returncode, p.stdout


@contextmanager
def notebooks_copy():
    "A temporary folder with the notebooks and settings of this checkout"
    with tempfile.TemporaryDirectory() as d:
        shutil.copytree(ROOT / 'nbs', Path(d) / 'nbs', ignore=shutil.ignore_patterns('.*'))
        shutil.copy(ROOT / 'settings.ini', d)
        yield Path(d)


def differing(a, b, pattern):
    "Relative paths of the files that the folders `a` and `b` do not share byte for byte"
    names = {
        p.relative_to(d)
        for d in (a, b)
        for p in d.rglob(pattern)
        if not any(o.startswith('.') for o in p.relative_to(d).parts)
    }
    content = lambda p: p.read_bytes() if p.is_file() else None
    return sorted(str(n) for n in names if content(a / n) != content(b / n))


def export_in_sync():
    "The modules are what the notebooks export, no more and no less"
    with notebooks_copy() as d:
        (d / LIB).mkdir()
        if (init := ROOT / LIB / '__init__.py').exists():
            shutil.copy(init, d / LIB)
        rc, out = run(BIN / 'nbdev_export', cwd=d)
        if rc:
            return {'export': f'nbdev_export fails:\n{out}'}
        changed = differing(ROOT / LIB, d / LIB, '*.py')
    return {
        'export': changed
        and f'{LIB}/ is not what the notebooks export: {", ".join(changed)}; '
        'run `nbdev_export`, and delete modules that no notebook exports'
    }


def notebooks_clean():
    "The notebooks carry no execution counts or stray metadata"
    with notebooks_copy() as d:
        rc, out = run(BIN / 'nbdev_clean', cwd=d)
        changed = differing(ROOT / 'nbs', d / 'nbs', '*.ipynb')
    if rc or 'Failed to clean' in out:
        return {'clean': f'nbdev_clean fails:\n{out}'}
    return {'clean': changed and f'not clean: {", ".join(changed)}; run `nbdev_clean`'}


def readme_in_sync():
    "README.md is what index.ipynb renders to"
    with tempfile.TemporaryDirectory() as d:
        made = Path(d) / 'README.md'
        rc, out = run('make', '-s', '--no-print-directory', 'readme', f'README={made}')
        if rc:
            return {'readme': f'`make readme` fails:\n{out}'}
        kept = ROOT / 'README.md'
        same = kept.is_file() and kept.read_bytes() == made.read_bytes()
    return {'readme': '' if same else 'README.md is not what nbs/index.ipynb renders to; run `make readme`'}


def numbered_notebooks():
    "Path by exported module for each `NN_name.ipynb`"
    paths = [p for p in sorted((ROOT / 'nbs').rglob('*.ipynb')) if NUMBERED.fullmatch(p.stem)]
    return {p.stem.split('_', 1)[1]: p for p in paths}


def imported(source):
    "Modules of this package that `source` imports, at any depth; None when it does not parse"
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return None
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(filter(None, (LIB if node.level else '', node.module)))
            names |= {f'{base}.{a.name}' for a in node.names}
    return {n.split('.')[1] for n in names if n.startswith(f'{LIB}.')}


QUESTIONS = {'q1', 'q2', 'q3'}
WALLS = {
    **{q: (QUESTIONS - {q}, 'questions never import each other') for q in QUESTIONS},
    'report': (QUESTIONS, 'the report reads records, not questions'),
}
PLAIN = {'losses', 'noise', 'augment'}  # know tensors and arrays: they import `core` at most


def upward(module, path, number):
    "What is wrong with the imports of one notebook, tests included, and with its name"
    cells = [
        ''.join(c['source']) for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code'
    ]
    for cell in cells:
        if (exp := re.search(r'^#\|\s*default_exp\s+(\S+)', cell, re.M)) and exp[1] != module:
            yield f'{path.name} exports {exp[1]}: name it NN_{exp[1]}.ipynb'
        names = imported(cell)
        if names is None:
            yield f'{path.name} has a cell that is not Python: {cell.splitlines()[0]}'
        for name in sorted(names or ()):
            if name != module and number.get(name, -1) >= number[module]:
                yield f'{path.name} imports {name}, which stands above it'


def through_walls(module):
    "What the exported module imports though DESIGN forbids it"
    source = ROOT / LIB / f'{module}.py'
    text = source.read_text(encoding='utf-8') if source.is_file() else ''
    names = {n for n in imported(text) or () if (ROOT / LIB / f'{n}.py').is_file()}
    banned, why = WALLS.get(module, (set(), ''))
    for name in sorted(names & banned):
        yield f'{module} imports {name}: {why}'
    if module in PLAIN:
        for name in sorted(names - {'core'}):
            yield f'{module} imports {name}: it may import core only'


def imports_downward():
    "A notebook imports lower numbers only, and nothing crosses the three walls"
    paths = numbered_notebooks()
    number = {m: int(NUMBERED.fullmatch(p.stem)[1]) for m, p in paths.items()}
    wrong = [w for m, p in paths.items() for w in (*upward(m, p, number), *through_walls(m))]
    return {'imports': wrong and '; '.join(wrong) + '; move what both need to a lower notebook'}


def stream(*cmd):
    "Exit code and output of a command, shown as it comes"
    with subprocess.Popen(
        [str(c) for c in cmd], cwd=ROOT, env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as p:
        try:
            lines = []
            for line in p.stdout:
                print(line, end='', flush=True)
                lines.append(line)
        except BaseException:
            p.terminate()
            raise
    return p.returncode, ''.join(lines)


def notebooks_pass():
    "`nbdev_test`, a test per notebook; it must say `Success.`, for it exits 0 also when it found nothing to run"
    rc, out = stream('timeout', TEST_LIMIT, BIN / 'nbdev_test', '--n_workers', 2, '--do_print', '--timing')
    finished = {Path(p).name for p in re.findall(r'- Completed (.+?\.ipynb)', out)}
    failed = set(re.findall(r'^\t(\S+\.ipynb)$', out, re.M))
    names = [p.name for p in sorted((ROOT / 'nbs').rglob('[!_.]*.ipynb')) if '.ipynb_checkpoints' not in p.parts]
    tests = {
        n: 'its tests fail; see its error above' if n in failed else '' if n in finished else 'did not run to its end'
        for n in names
    }
    good = rc == 0 and 'Success.' in out and 'No files were eligible' not in out
    if good or any(tests.values()):
        return tests
    return tests | {'nbdev_test': f'exit code {rc} (124: over {TEST_LIMIT} s), without naming a notebook; see above'}


def help_is_quick():
    "`midas_task2 --help` imports nothing heavy; the best of five, since the machine may be busy"
    if not (ROOT / LIB / 'cli.py').is_file():
        return {'help': f'{LIB}/cli.py does not exist; write the notebook that exports it'}
    seconds = []
    while len(seconds) < 5 and min(seconds, default=HELP_LIMIT) >= HELP_LIMIT:
        start = time.perf_counter()
        rc, out = run(BIN / 'midas_task2', '--help')
        seconds.append(time.perf_counter() - start)
        if rc:
            return {'help': f'`midas_task2 --help` exits {rc}:\n{out}'}
    print(f'midas_task2 --help: {min(seconds):.2f} s')
    return {
        'help': ''
        if min(seconds) < HELP_LIMIT
        else f'`midas_task2 --help` takes {min(seconds):.2f} s; import heavy packages inside functions'
    }


def scanned():
    "bandit finds nothing of medium or high severity that is not explained where it stands"
    rc, out = run(BIN / 'bandit', '-q', '-ll', '-r', LIB, 'tools')
    return {'bandit': out if rc else ''}


CHECKS = [export_in_sync, notebooks_clean, readme_in_sync, imports_downward, scanned, help_is_quick, notebooks_pass]


def main():
    "Run every check, say what failed and how to mend it; True when all passed"
    tests = {}
    for check in CHECKS:
        try:
            tests |= check()
        except Exception as e:
            tests[check.__name__] = f'{type(e).__name__}: {e}'
    print()
    for name, problem in tests.items():
        print(f'FAIL {name}: {problem}' if problem else f'ok   {name}')
    failed = sum(bool(p) for p in tests.values())
    print(f'{len(tests) - failed} passed, {failed} failed')
    return not failed


if __name__ == '__main__':
    sys.exit(not main())
