"""afterimage: from raw fMRI betas to reconstructed pictures and tables that can be trusted."""

__version__ = "0.1.0"
