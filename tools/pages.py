"""Pages from notebooks: pages.py readme FILE, or pages.py docs FOLDER

A reader sees neither cells marked `#| hide` nor the directives; of cells marked `#| echo: false`, the output only."""

import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter, MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
DIRECTIVE = re.compile(r'^#\|.*\n?', re.MULTILINE)


def for_readers(path):
    "The notebook at `path` as a reader should see it"
    nb = nbformat.read(path, as_version=4)
    nb.cells = [c for c in nb.cells if not re.search(r'^#\|\s*hide\b', c.source, re.MULTILINE)]
    nb.metadata.language_info = dict(name='python', pygments_lexer='python')  # a cleaned notebook no longer says
    for c in nb.cells:
        if c.cell_type != 'code':
            continue
        if re.search(r'^#\|\s*echo:\s*false', c.source, re.MULTILINE):
            c.metadata.transient = dict(remove_source=True)
        c.source = DIRECTIVE.sub('', c.source)
    nb.cells = [c for c in nb.cells if c.source or c.get('outputs')]
    return nb


def readme(target):
    "README.md from nbs/index.ipynb: text outputs only, since pictures would need files beside it"
    text_first = Config(NbConvertBase=dict(display_data_priority=['text/markdown', 'text/plain']))
    text, _ = MarkdownExporter(config=text_first).from_notebook_node(for_readers(ROOT / 'nbs' / 'index.ipynb'))
    text = re.sub(r'\]\(([0-9A-Za-z_.]+\.ipynb|images/)', r'](nbs/\1', text)  # links leave the notebooks' folder
    text = text.replace('](../', '](')
    target.write_text(re.sub(r'\n{3,}', '\n\n', text).strip() + '\n', encoding='utf-8')


def docs(folder):
    "Every notebook as HTML"
    shutil.copytree(ROOT / 'nbs' / 'images', folder / 'images', dirs_exist_ok=True)
    for path in sorted((ROOT / 'nbs').glob('[!_.]*.ipynb')):
        html, _ = HTMLExporter().from_notebook_node(for_readers(path), resources=dict(metadata=dict(name=path.stem)))
        (folder / f'{path.stem}.html').write_text(
            re.sub(r'href="([0-9A-Za-z_.]+)\.ipynb', r'href="\1.html', html), encoding='utf-8'
        )


if __name__ == '__main__':
    dict(readme=readme, docs=docs)[sys.argv[1]](Path(sys.argv[2]))
