"""The study of docs/study.md, by the REST API of a running RankScope: `python -m scripts.study`."""
