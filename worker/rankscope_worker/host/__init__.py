"""The supervising process: claims runs, starts one child an attempt and watches it. Never imports torch."""
