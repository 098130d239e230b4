# Three stages: the page, the server without torch (`api`), and the server with the training stack (`worker`).

FROM node:24-slim AS page
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend ./
COPY docs/glossary.md /src/docs/
RUN npm run build

FROM python:3.11-slim AS api
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml requirements-demo.txt README.md LICENSE ./
COPY backend backend
COPY worker worker
COPY --from=page /src/backend/rankscope/static backend/rankscope/static
# The demo's files are read by the API too (columns, rows, module shapes); see requirements-demo.txt.
RUN pip install . && pip install --no-deps --requirement requirements-demo.txt \
    && useradd --create-home --uid 1000 rankscope && mkdir /data && chown rankscope /data
USER rankscope
WORKDIR /data
CMD ["rankscope", "api", "--host", "0.0.0.0"]

FROM api AS worker
USER root
RUN pip install '/src[worker]'
USER rankscope
CMD ["rankscope", "worker"]
