"""One statistic a file, over plain arrays, by SciPy."""
