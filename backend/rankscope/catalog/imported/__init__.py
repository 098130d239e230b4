"""Data sets that were imported into Parquet: their folders, profiles and rows."""
