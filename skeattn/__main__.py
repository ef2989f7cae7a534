"""``python -m skeattn``: the command ``skeattn``, for an environment whose scripts are not on the path."""

from skeattn.commands import main

if __name__ == '__main__':
    main()
