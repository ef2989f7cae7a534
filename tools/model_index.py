"""List the published encoders of a folder: ``python tools/model_index.py ZOO --address URL``.

Writes model-index.yml, and the list in docs/zoo.md, from the headers of the published files; an empty or missing folder
gives empty lists.
"""

import argparse
from pathlib import Path

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('zoo', nargs='?', type=Path, default=Path('zoo'), metavar='ZOO', help='folder of skeattn publish')
    top.add_argument('--address', default='', metavar='URL', help='at which the folder can be downloaded')
    top.add_argument('--index', type=Path, default=Path('model-index.yml'), metavar='FILE', help='(model-index.yml)')
    top.add_argument('--page', type=Path, default=Path('docs/zoo.md'), metavar='FILE', help='(docs/zoo.md)')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from skeattn.errors import ConfigError
from skeattn.files import write_text
from skeattn.zoo.index import index_of, index_text, with_list


def main() -> None:
    args = parser().parse_args()
    index = index_of(args.zoo, args.address)
    try:
        page = with_list(args.page.read_text(), index)
    except (OSError, ValueError) as error:
        raise ConfigError(f'--page {args.page}: {error}; give docs/zoo.md of a checkout') from error
    write_text(args.index, index_text(index))
    write_text(args.page, page)
    print(f'{len(index["Models"])} published encoders: {args.index}, {args.page}')


if __name__ == '__main__':
    cli.run(main)
