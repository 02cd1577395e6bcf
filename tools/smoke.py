"""Hold the records of a short real-data run against their bars: smoke.py OUT"""

import json
import math
import sys
from pathlib import Path

ANY = math.inf
# The smoke profile trains for minutes, so these are far below what the quick profile reaches; below them something is
# broken.
BARS = [  # question, name, metric, low, high: every such record needs low < value < high
    ('q1', 'compact', 'accuracy', 0.60, ANY),
    ('q2', 'scratch', 'accuracy', 0.97, ANY),
    ('q2', 'pretrained', 'accuracy', 0.97, ANY),
    ('q3', 'plain-scratch', 'accuracy', -ANY, 0.02),
    ('q3', 'argmin-scratch', 'accuracy', 0.30, ANY),
    ('q3', 'scl_nl-scratch', 'accuracy', 0.90, ANY),
]


def read_records(out):
    "Every record of real data in the folder `out`; the embedded data would pass for it too easily"
    records = [json.loads(p.read_text(encoding='utf-8')) for p in sorted((out / 'records').glob('*.json'))]
    return [r for r in records if r['kind'] == 'real']


def hold(records, question, name, metric, low, high):
    "Whether the records of one row keep within its bar, and a line that says so"
    values = [r['metrics'].get(metric, math.nan) for r in records if (r['question'], r['name']) == (question, name)]
    shown = ', '.join(f'{v:.4f}' for v in values) or 'no record of real data'
    bar = f'below {high}' if low == -ANY else f'above {low}' if high == ANY else f'between {low} and {high}'
    return bool(values) and all(low < v < high for v in values), f'{question}/{name} {metric}: {shown}, wanted {bar}'


def main(out):
    "Print a line per bar and the closing count; True when all hold"
    records = read_records(out)
    results = [hold(records, *bar) for bar in BARS]
    results.append(((out / 'index.html').is_file(), 'the report index.html'))
    for ok, line in results:
        print('ok  ' if ok else 'FAIL', line)
    failed = sum(not ok for ok, _ in results)
    print(f'{len(results) - failed} passed, {failed} failed')
    return not failed


if __name__ == '__main__':
    sys.exit(not main(Path(sys.argv[1])))
