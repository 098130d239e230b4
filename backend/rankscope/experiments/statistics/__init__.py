"""One statistic per file, over plain arrays, by SciPy."""
