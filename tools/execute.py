"""Run notebooks again in place, keeping their outputs: execute.py [NOTEBOOK...]; default: all of nbs/

Cells marked `#| slow` or `#| eval: false` are left as they are. A notebook that fails stays untouched."""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbdev.clean import nbdev_clean

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = re.compile(r'^#\|\s*(slow\b|eval:\s*false\b)', re.MULTILINE)


class Client(NotebookClient):
    "Runs every code cell but the skipped ones, whose stored outputs stay"

    async def async_execute_cell(self, cell, cell_index, **kwargs):
        if SKIPPED.search(cell.source):
            return cell
        return await super().async_execute_cell(cell, cell_index, **kwargs)


def is_bar(output):
    "Whether an output is a progress bar of fastai's, or what one leaves behind"
    html = output.get('data', {}).get('text/html')
    return html is not None and (not html.strip() or '<progress' in html or '.progress-bar-interrupted' in html)


def execute(path):
    "Run one notebook in its own folder, as Jupyter would; write it whole, then clean it"
    nb = nbformat.read(path, as_version=4)
    Client(nb, timeout=None, record_timing=False, resources=dict(metadata=dict(path=str(path.parent)))).execute()
    for c in nb.cells:  # progress and warnings are for whoever runs it, not for the reader
        if c.cell_type == 'code':
            c.outputs = [o for o in c.outputs if o.get('name') != 'stderr' and not is_bar(o)]
    part = path.with_suffix('.part')
    nbformat.write(nb, part)
    os.replace(part, path)
    nbdev_clean(str(path))


def main(paths):
    "Execute each notebook; False when any failed"
    os.environ.pop('MPLBACKEND', None)
    good = True
    for path in paths:
        print(path.name, flush=True)
        try:
            execute(path)
        except CellExecutionError as e:
            good = False
            print(f'{path.name} failed and is left as it was:\n{e}', file=sys.stderr)
    return good


if __name__ == '__main__':
    given = [Path(a).resolve() for a in sys.argv[1:]]
    sys.exit(not main(given or sorted((ROOT / 'nbs').glob('[!_.]*.ipynb'))))
