__version__ = "0.2.0"

from .core.moved import install_old_paths

install_old_paths()
