# One image for every mode: the command says which (`api`, `consumer`, `temporal_worker`, `migrate`).
# Without the embedded servers and the tools for development.

FROM python:3.11.17-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never

RUN pip install --no-cache-dir uv==0.13.9

WORKDIR /srv/tariff

# The dependencies change more rarely than the program, so they are a layer of their own.
COPY pyproject.toml README.md LICENSE ./
RUN uv sync --no-group dev --no-group local --no-install-project

COPY app ./app
COPY migrations ./migrations
RUN uv sync --no-group dev --no-group local --no-editable


FROM python:3.11.17-slim-bookworm

RUN groupadd --system --gid 10001 tariff \
    && useradd --system --uid 10001 --gid tariff --no-create-home --shell /usr/sbin/nologin tariff

WORKDIR /srv/tariff
COPY --from=build /srv/tariff/.venv ./.venv
COPY config.yaml LICENSE ./

# Nothing is written beside /tmp, so the root file system may be read-only.
ENV PATH=/srv/tariff/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TARIFF_SERVER_HOST=0.0.0.0 \
    TARIFF_SERVER_PORT=8080 \
    TARIFF_SERVER_METRICS_PORT=8080

USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM

HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/health', timeout=5)"]

ENTRYPOINT ["tariff"]
CMD ["--help"]
