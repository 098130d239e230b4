"""Imports a file of rows: reads its encoding, format and rows, and writes them to Parquet with a profile."""
