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
NUMBERED = re.compile(r'(\d+)_[\w.]+')
# Seconds. The tests of all notebooks together are meant to take under ten minutes; a slow machine without bfloat16 took
# over twelve.
TEST_LIMIT = 35 * 60
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


def _content(path):
    return path.read_bytes() if path.is_file() else None


def differing(a, b, pattern):
    "Relative paths of the files that the folders `a` and `b` do not share byte for byte"
    names = {
        p.relative_to(d)
        for d in (a, b)
        for p in d.rglob(pattern)
        if not any(o.startswith('.') for o in p.relative_to(d).parts)
    }
    return sorted(str(n) for n in names if _content(a / n) != _content(b / n))


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
    "Path by exported module for each `NN_name.ipynb`; a dotted name is a module of a package"
    paths = [p for p in sorted((ROOT / 'nbs').rglob('*.ipynb')) if NUMBERED.fullmatch(p.stem)]
    return {p.stem.split('_', 1)[1]: p for p in paths}


def imported(source, known):
    "The modules among `known` that `source` imports, at any depth of its code; None when it does not parse"
    try:
        tree = ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return None
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module, *(f'{node.module}.{a.name}' for a in node.names)}
    return {m for m in known if f'{LIB}.{m}' in names}


def code_cells(path):
    "The source of each code cell of a notebook"
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return [''.join(c['source']) for c in cells if c['cell_type'] == 'code']


# From the ground up: a package imports its own modules and those of the packages before it.
LAYERS = 'core labels data models augment training evaluation reading audit'.split()
LAYERS += 'test_utils reporting experiments cli'.split()
QUESTIONS = {'experiments.q1', 'experiments.q2', 'experiments.q3'}
PLAIN = {'labels', 'augment'}  # know tensors and arrays: besides themselves, they import `core` at most


def package(module):
    "The package, or the top-level module, that `module` belongs to"
    return module.split('.')[0]


def forbidden(module, other):
    "Why the exported code of `module` may not import `other`, or nothing"
    own, its = package(module), package(other)
    if {module, other} <= QUESTIONS:
        return 'questions never import each other'
    if own in PLAIN and its not in (own, 'core'):
        return f'{own} knows tensors and arrays: it may import core only'
    if own in LAYERS and its in LAYERS and LAYERS.index(its) > LAYERS.index(own):
        return f'{its} is a layer above {own}'
    return ''


def misplaced(module, path, number):
    "What is wrong with the imports of one notebook, tests included, and with its name"
    for cell in code_cells(path):
        if (exp := re.search(r'^#\|\s*default_exp\s+(\S+)', cell, re.M)) and exp[1] != module:
            yield f'{path.name} exports {exp[1]}: name it NN_{exp[1]}.ipynb'
        names = imported(cell, number)
        if names is None:
            yield f'{path.name} has a cell that is not Python: {cell.splitlines()[0]}'
        for name in sorted(names or ()):
            if name != module and number[name] >= number[module]:
                yield f'{path.name} imports {name}, which stands above it'
            if re.search(r'^#\|\s*export', cell, re.M) and (why := forbidden(module, name)):
                yield f'{module} imports {name}: {why}'


def imports_downward():
    "A notebook imports lower numbers only, a package the layers below it, and nothing crosses a wall"
    paths = numbered_notebooks()
    number = {m: int(NUMBERED.fullmatch(p.stem)[1]) for m, p in paths.items()}
    wrong = [w for m, p in paths.items() for w in misplaced(m, p, number)]
    return {'imports': wrong and '; '.join(wrong) + '; move what both need to a lower notebook'}


LONGEST_FUNCTION = 25  # lines, signature and docstring included


def long_functions(source):
    "Name and number of lines of each function in `source` that is too long"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f'{node.name} has {lines} lines'


def style():
    "ruff finds nothing in notebooks and tools, and no exported function is too long to be read at once"
    problems = []
    for command in (('check', '--output-format', 'concise'), ('format', '--check')):
        rc, out = run(BIN / 'ruff', *command, 'nbs', 'tools', 'setup.py')
        if rc:
            problems.append(out.strip())
    modules = [p for p in sorted((ROOT / LIB).rglob('*.py')) if not p.name.startswith('_')]
    for p in modules + sorted((ROOT / 'tools').glob('*.py')):
        problems += [f'{p.relative_to(ROOT)}: {f}; split it' for f in long_functions(p.read_text(encoding='utf-8'))]
    return {'style': '\n'.join(problems)}


def types():
    "mypy finds no error in the packages that others build on"
    rc, out = run(BIN / 'mypy', '--config-file', 'mypy.ini')
    return {'types': out if rc else ''}


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


CHECKS = [
    export_in_sync,
    notebooks_clean,
    readme_in_sync,
    imports_downward,
    style,
    types,
    scanned,
    help_is_quick,
    notebooks_pass,
]


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
