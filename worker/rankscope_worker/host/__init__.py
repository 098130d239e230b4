"""The supervising process: claims runs, starts one process per attempt and monitors it. Never imports torch."""
